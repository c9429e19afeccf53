"""A run given twice would count as two that agree perfectly: files and runs that are others once more are refused."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.readers.document import FOREIGN
from vlbench.record.runs import Metric, Run
from vlbench.untrusted.files import read_bytes

TELLING_FIGURES = 6
"""Figures with a fraction that make a run known."""
TELLING_DIGITS = 8
"""Digits of all figures with a fraction, samples too, that make a run known among those of its side.

Fewer, such as those of 12.5, repeat by rounding.
"""
JSON = (b"{", b"[", b"window.")
"""How a file begins whose bytes never repeat by chance; a short CSV can."""


def check_files(sides: Iterable[Sequence[str]]) -> None:
    """Raise `UsageError` for a file that is there twice and, in JSON, for one with the content of another."""
    seen: dict[object, tuple[int, str]] = {}
    for side, path in ((side, path) for side, paths in enumerate(sides) for path in paths):
        content, marks = read_bytes(Path(path), FOREIGN).removeprefix(BOM_UTF8).strip(), [Path(path).resolve()]
        for mark in [*marks, *([sha256(content).digest()] if content.startswith(JSON) else [])]:
            if mark in seen:
                first, other = seen[mark]
                one = "is given twice" if first == side else "is on both sides, so that one file is judged by itself"
                told = one if isinstance(mark, Path) else f"has the same content as {other}"
                raise UsageError(f"{path} {told}; give each run once")
            seen[mark] = side, path


def check_runs(sides: Iterable[Sequence[Run]]) -> None:
    """Raise `UsageError` for a run that is another once more: so many measured figures never repeat by chance.

    Counts do, and the scores of a model that is asked the same again. What is exact may be the same on both sides, so
    that it takes more figures to be a copy there.
    """
    seen: dict[object, str] = {}
    for side, runs in enumerate(sides):
        for run in runs:
            metrics = [each for each in run.metrics.values() if not each.answers]
            figures = tuple(sorted((each.name, each.value) for each in metrics))
            known = sum(value != int(value) for _, value in figures) >= TELLING_FIGURES
            whole = tuple(sorted((each.name, each.value, each.deviation, each.samples) for each in metrics))
            told = (*(tuple(sorted(each.items())) for each in (run.conditions, run.answered)), run.fault)
            for mark in [(figures, told)] * known + [(side, whole, told)] * _is_known(metrics):
                if first := seen.get(mark):
                    same = f"the same figures as {first} in all that is judged"
                    raise UsageError(f"{run.source} has {same}; give each run once")
                seen[mark] = run.source


def _is_known(metrics: Iterable[Metric]) -> bool:
    """Have its figures with a fraction so many digits together that no other run of the side has all of them?"""
    figures = (each for metric in metrics for each in (metric.deviation, *(metric.samples or (metric.value,))))
    telling = (repr(abs(each)).partition("e")[0].replace(".", "").lstrip("0") for each in figures if each != int(each))
    return any(digits >= TELLING_DIGITS for digits in accumulate(map(len, telling)))
