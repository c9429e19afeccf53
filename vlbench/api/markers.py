"""Limits in the markers of tests, as the merge base has them: a change that raises or removes one is judged by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlbench.api.counts import counted, mark_job
from vlbench.api.defaults import Defaults
from vlbench.comparing.counted_cells import counted_forward, why_incomplete
from vlbench.errors import UsageError
from vlbench.gating.base import Base
from vlbench.gating.listing import marks_in
from vlbench.gating.marks import Mark, argument
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.child import waiting_threads
from vlbench.process.git import git
from vlbench.record.counted import CountedTower
from vlbench.revisions.checkouts import checked_out

TEXT = "mark.vlbench"
"""What a test file holds that has markers."""


@dataclass
class Limits:
    """What tests hold a cell to: for each counter the least that is allowed."""

    test: str
    most: dict[str, int] = field(default_factory=dict)
    accepted: str = ""
    """Who says why the limits are others than those of the merge base."""


def marker_rows(base: Base, usual: Defaults, *, accepts: bool) -> list[JudgedRow]:
    """A row for each cell that a marker of the merge base limits; what it leaves out is `usual`.

    None where no test file there has a marker.
    """
    if not (files := _files(base.commit)):
        return []
    with checked_out([base.commit]) as (there,), waiting_threads(2) as pool:
        try:
            before, after = pool.map(_limits, (there.here, Path.cwd()), (files, _files()))
        except UsageError as error:
            return [JudgedRow.missing(f"markers of {base.words}", "counters", str(error))]
    return [row for cell, limits in before.items() for row in _judged(cell, limits, after.get(cell), usual, accepts)]


def _files(commit: str | None = None) -> list[str]:
    """Test files with markers at a commit, or in the working tree; as seen from the current folder."""
    options = ["-e", TEXT, commit] if commit else ["--untracked", "-e", TEXT]
    found = git("grep", "-l", "-F", *options, "--", "*.py") or ""
    names = (name.removeprefix(f"{commit}:") for name in found.splitlines())
    return [name for name in names if Path(name).name != "conftest.py"]


def _limits(folder: Path, files: Sequence[str]) -> dict[Mark, Limits]:
    """The limits that tests in a folder set, by the cell that they limit: a mark without limits. Raises UsageError."""
    found: dict[Mark, Limits] = {}
    for test, marks in marks_in(folder, files).items() if files else ():
        for mark in marks:
            if mark.tower and mark.limits:
                cell = replace(mark, limits={}, baseline=None, accepted=None)
                limits = found.setdefault(cell, Limits(test))
                limits.accepted = limits.accepted or mark.accepted or ""
                for name, most in mark.limits.items():
                    limits.most[name] = min(most, limits.most.get(name, most))
    return found


def _judged(cell: Mark, limits: Limits, now: Limits | None, usual: Defaults, accepts: bool) -> Iterator[JudgedRow]:
    named = f"{limits.test}: {cell.tower}"
    try:
        report = counted(mark_job(cell, usual))
    except UsageError as error:
        yield JudgedRow.missing(named, "counters", str(error))
        return
    for group in report.groups:
        for row in group.towers:
            fed = "+".join(cell.grids) or f"{group.scenario} {group.point}".strip()
            yield _row(f"{named} {fed}", row, cell.cold, limits, now, accepts)


def _row(name: str, tower: CountedTower, cold: bool, limits: Limits, now: Limits | None, accepts: bool) -> JudgedRow:
    forward = tower.cold if cold else tower.warm
    reason = why_incomplete(tower)
    if forward is None or reason:
        return JudgedRow.missing(name, "counters", reason or "it was not counted")
    counters, here = counted_forward(forward).counters, now.most if now else {}
    above = {each: counters[each] for each, most in limits.most.items() if counters[each] > most}
    told = "; ".join(
        f"{each.replace('_', ' ')} {value:,}, where the merge base allows {argument(each)}={limits.most[each]}"
        for each, value in above.items()
    )
    exact = all(here.get(each) == value for each, value in above.items())
    if above and accepts and exact and now and now.accepted not in ("", limits.accepted):
        reason = f"accepted in its marker: {now.accepted}; {told}"
        return JudgedRow(cell=name, measure="counters", verdict=Verdict.ACCEPTED, reason=reason)
    if above:
        return JudgedRow(cell=name, measure="counters", verdict=Verdict.REGRESSED, reason=told)
    if loose := [each for each, most in limits.most.items() if here.get(each, most + 1) > most]:
        told = "; ".join(
            f"{argument(each)}={limits.most[each]} was {f'raised to {here[each]}' if each in here else 'removed'}"
            for each in loose
        )
        return JudgedRow.missing(name, "counters", f"{told}, and nothing that was counted asks for that; bring it back")
    return JudgedRow(cell=name, measure="counters", verdict=Verdict.SAME, reason="within the limits of its marker")
