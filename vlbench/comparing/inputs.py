"""The files of both sides, read once each and checked to be evidence of their own."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from hashlib import sha256
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.readers import read
from vlbench.readers.document import FOREIGN
from vlbench.record.runs import Run
from vlbench.untrusted.files import read_bytes


def read_sides(
    before: Sequence[str],
    after: Sequence[str],
    name: str | None = None,
    options: tuple[str, str] = ("--before", "--after"),
) -> tuple[list[Run], list[Run]]:
    """The runs of both sides. Each entry is a file or a pattern such as `runs/a-*.json`; `options` name the sides.

    A file given twice, or a copy of one, would count as two runs that agree perfectly: it is refused. Raises
    `UsageError`.
    """
    old, new = (_files(entries, option) for entries, option in zip((before, after), options, strict=True))
    seen: dict[object, str] = {}
    for path in (*old, *new):
        for mark in _marks(Path(path)):
            if mark in seen:
                raise UsageError(f"{path} has the same content as {seen[mark]}; give each run once")
            seen[mark] = path
    return [run for path in old for run in read(path, name)], [run for path in new for run in read(path, name)]


def _marks(path: Path) -> list[object]:
    """What no two runs share: the file itself and, in JSON, the content. A short CSV can repeat by chance."""
    content = read_bytes(path, FOREIGN)
    return [path.resolve(), *([sha256(content).digest()] if content.lstrip().startswith(b"{") else [])]


def _files(entries: Sequence[str], option: str) -> list[str]:
    files: list[str] = []
    for entry in entries:
        found = [entry] if Path(entry).exists() else sorted(glob(entry, recursive=True))
        if not found:
            raise UsageError(f"{option} {entry} is no file and no pattern that fits one; check the path")
        for path in found:
            if not Path(path).is_file():
                raise UsageError(f"{option} {path} is a folder; name its files, such as '{path}/*.json'")
        files += found
    return files
