"""Absolute times beside ratios: where everything became slower, the reference tower too, no ratio shows it."""

from collections.abc import Iterator
from statistics import median

from vlbench.comparing.contents import Contents
from vlbench.judging.words import duration
from vlbench.record.baseline import TimedCell
from vlbench.record.fingerprint import comparable

WORTH_A_LINE = 0.10
"""The change of the reference's own time, as a share, from which on it is said. Such times drift and judge nothing."""


def absolute_times(old: Contents, new: Contents) -> Iterator[str]:
    """A sentence for each reference whose own time is not what it was, on one class of machine."""
    if not (old.fingerprint and new.fingerprint) or comparable(old.fingerprint, new.fingerprint):
        return
    before, after = _references(old), _references(new)
    for name in before.keys() & after.keys():
        was, now = median(before[name]), median(after[name])
        if max(now / was, was / now) > 1 + WORTH_A_LINE:
            yield (
                f"{name} itself takes {now / was:.2f}x as long as before ({duration(was)} -> {duration(now)}), which "
                "ratios to it do not show; the machine may have been busy, or something under all rows changed"
            )


def _references(side: Contents) -> dict[str, list[float]]:
    """Seconds of one call of each reference, from every cell that was held against it."""
    found: dict[str, list[float]] = {}
    for cell in side.timed.values():
        if isinstance(cell, TimedCell):
            name = " ".join(filter(None, (cell.reference, cell.scenario, cell.point, cell.dtype, cell.state)))
            found.setdefault(name, []).append(cell.seconds / median(trial.ratio for trial in cell.trials))
    return found
