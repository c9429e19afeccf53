"""Two counts beside each other: counter by counter, and the lines that appeared, vanished or changed."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from vlbench.record.counted import CountReport, Forward, Site
from vlbench.record.counts import Event, Tally


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Frozen):
    """A counter, or an operation, before and after."""

    name: str
    before: int
    after: int


class LineChange(_Frozen):
    """A line that waits or copies; 0 times before means that it appeared, 0 times after that it vanished."""

    event: Event
    where: str
    before: int
    after: int


class Difference(_Frozen):
    """From `before` to `after`, all that is not equal."""

    before: str
    after: str
    incomparable: str | None = None
    """Why the two should not be compared, None where they may be."""
    counters: tuple[Change, ...]
    operations: tuple[Change, ...]
    lines: tuple[LineChange, ...]


def difference(names: tuple[str, str], before: Forward, after: Forward) -> Difference:
    """All that differs between the counts of two forwards, the largest change first."""
    a, b = before.counts, after.counts
    counters = [Change(name=name, before=getattr(a.total, name), after=getattr(b.total, name)) for name in _counters()]
    counters.append(Change(name="peak_live_bytes", before=a.peak_live_bytes, after=b.peak_live_bytes))
    operations = (
        Change(name=name, before=a.operations.get(name, 0), after=b.operations.get(name, 0))
        for name in dict.fromkeys((*a.operations, *b.operations))
    )
    here, there = _lines(before.sites), _lines(after.sites)
    lines = [
        LineChange(event=event, where=where, before=here.get((event, where), 0), after=there.get((event, where), 0))
        for event, where in dict.fromkeys((*here, *there))
    ]
    return Difference(
        before=names[0],
        after=names[1],
        incomparable=_why_not(before, after),
        counters=tuple(each for each in counters if each.before != each.after),
        operations=tuple(sorted((each for each in operations if each.before != each.after), key=_by_size)),
        lines=tuple(sorted((each for each in lines if each.before != each.after), key=_by_size)),
    )


def _counters() -> list[str]:
    return list(Tally.model_fields)


def _by_size(change: Change | LineChange) -> int:
    return -abs(change.after - change.before)


def _lines(sites: Iterable[Site]) -> dict[tuple[Event, str], int]:
    found: dict[tuple[Event, str], int] = {}
    for site in sites:
        key = (site.event, site.where)
        found[key] = found.get(key, 0) + site.times
    return found


def _why_not(before: Forward, after: Forward) -> str | None:
    """Differences of the key that belong to the machine or the question, and not to the tower."""
    a, b = before.counts.key, after.counts.key
    other = [
        f"{name} {getattr(a, name)} and {getattr(b, name)}"
        for name in ("mode", "profile", "torch_version")
        if getattr(a, name) != getattr(b, name)
    ]
    return ", ".join(other) or None


def differences(report: CountReport, towers: tuple[str, ...], cold: bool) -> list[Difference]:
    """One for each group in which both towers were counted."""
    found = []
    for group in report.groups:
        forwards = {row.name: row.cold if cold else row.warm for row in group.towers}
        before, after = (forwards.get(name) for name in towers)
        if before and after:
            found.append(difference((towers[0], towers[1]), before, after))
    return found
