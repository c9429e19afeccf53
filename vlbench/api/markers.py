"""The markers of tests as the merge base has them: a change is judged by those that it raises, removes or hides."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlbench.api.counts import counted, mark_job
from vlbench.api.defaults import Defaults
from vlbench.comparing.counted_cells import counted_forward, why_incomplete
from vlbench.errors import UsageError
from vlbench.gating.base import Base
from vlbench.gating.listing import Listed, Tests, marks_in
from vlbench.gating.manifest import NAME, new_removal
from vlbench.gating.marks import Mark, argument
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.child import waiting_threads
from vlbench.process.git import read_git, text_at
from vlbench.record.counted import CountedTower
from vlbench.revisions.checkouts import checked_out

TEXT = "mark.*vlbench"
"""What a file holds that marks tests, its own or those of others."""
HIDDEN = "pytest by itself no longer collects such a test (testpaths, an ignore, a conftest?); bring it back"


@dataclass
class Limits:
    """What tests hold a cell to: for each counter the least that is allowed."""

    test: str
    most: dict[str, int] = field(default_factory=dict)
    accepted: str = ""
    """Who says why the limits are others than those of the merge base."""


def marker_rows(base: Base, usual: Defaults, *, accepts: bool) -> list[JudgedRow]:
    """A row for each cell that a marker of the merge base limits, and for each marked test that pytest lost.

    What a marker leaves out is `usual`. None where no Python file there speaks of a marker.
    """
    if not (files := _files(base.commit)):
        return []
    with checked_out([base.commit]) as (there,), waiting_threads(2) as pool:
        try:
            before, after = pool.map(marks_in, (there.here, Path.cwd()), (files, _files()))
        except UsageError as error:
            return [JudgedRow.missing(f"markers of {base.words}", "counters", str(error))]
    limits, all_now, found_now = _limits(before.tests), _limits(after.tests), _limits(after.found)
    known = _limits(before.found)
    rows = list(_lost(base, before, after))
    for cell, each in limits.items():
        rows += _judged(cell, each, (found_now if cell in known else all_now).get(cell), usual, accepts)
    return rows


def _files(commit: str | None = None) -> list[str]:
    """Python files that speak of markers, at a commit or in the working tree; as seen from the current folder.

    Raises UnreadError, for what git cannot search may hold markers.
    """
    options = ["-e", TEXT, commit] if commit else ["--untracked", "-e", TEXT]
    found = read_git("grep", "-l", "-z", *options, "--", "*.py", fine=(0, 1))
    return [name.split(":", 1)[-1] if commit else name for name in found.split("\0") if name]


def _lost(base: Base, before: Listed, after: Listed) -> Iterator[JudgedRow]:
    """Marks that pytest found at the merge base, and finds on no test now; and settings that hide whether it does.

    Of a limit that is nowhere any more the row of its cell says so, and of a baseline that somebody took out its own.
    """
    why = f" ({after.fault})" if after.fault else ""
    if after.without_added and not before.without_added:
        reason = f"pytest does not take the options that the change adds to its settings{why}; mend addopts"
        yield JudgedRow.missing("markers of tests", "counters", reason)
    found, anywhere = (
        {_unlimited(mark) for marks in each.values() for mark in marks} for each in (after.found, after.tests)
    )
    lost = {_unlimited(mark): (test, mark) for test, marks in before.found.items() for mark in marks}
    for mark, (test, said) in lost.items():
        told = (said.limits and mark not in anywhere) or _was_removed(base, test, mark)
        if mark not in found and not told:
            yield JudgedRow.missing(f"{test}: {mark.baseline or mark.tower}", "counters", HIDDEN + why)


def _was_removed(base: Base, test: str, mark: Mark) -> bool:
    """Did the change take the baseline of a test out, with a reason?"""
    named = [folder / mark.baseline for folder in Path(test.partition("::")[0]).parents] if mark.baseline else []
    return any(new_removal(path, text_at(base.commit, path.parent / NAME)) for path in named if not path.exists())


def _unlimited(mark: Mark) -> Mark:
    """What a mark judges, whatever it allows."""
    return replace(mark, limits={}, accepted=None)


def _limits(tests: Tests) -> dict[Mark, Limits]:
    """The limits that tests set, by the cell that they limit: a mark without limits."""
    found: dict[Mark, Limits] = {}
    for test, marks in tests.items():
        for mark in marks:
            if mark.tower and mark.limits:
                limits = found.setdefault(replace(_unlimited(mark), baseline=None), Limits(test))
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
