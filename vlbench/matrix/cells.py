"""Cells by coordinates: the filter that picks some out of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from vlbench.errors import UsageError

COORDINATES = ("scenario", "point", "model", "dtype", "device", "variant")


@dataclass(frozen=True)
class CellFilter:
    """Patterns by coordinate; a cell passes when every coordinate that is named matches one of its patterns."""

    patterns: Mapping[str, tuple[str, ...]]

    def keeps(self, **coordinates: str) -> bool:
        """Does a cell with these coordinates pass? Coordinates that are not given are not asked about."""
        return all(
            any(fnmatchcase(coordinates[name], pattern) for pattern in patterns)
            for name, patterns in self.patterns.items()
            if name in coordinates
        )


def parse_filter(texts: list[str]) -> CellFilter:
    """The filter of options such as `model=qwen2.5-*` or `variant=rope-*,best`; several of one coordinate add up."""
    patterns: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, wanted = text.partition("=")
        if not equals or name not in COORDINATES or not wanted:
            raise UsageError(f"--filter: {text!r} must be COORDINATE=PATTERN with one of {', '.join(COORDINATES)}")
        patterns[name] = (*patterns.get(name, ()), *wanted.split(","))
    return CellFilter(patterns)
