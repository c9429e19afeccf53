"""What a change may do to waits that are allowed, and to the counts of further calls."""

from __future__ import annotations

from tests.gating.held import LOST, head, settled, waiting
from tests.record.baselines import baseline, cell, forward
from vlbench.comparing.counted import judge_cells
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import CountedCell
from vlbench.record.counted import Further
from vlbench.record.site import Site, Where


def test_a_wait_that_is_newly_allowed_is_no_improvement() -> None:
    here, there = waiting("a.py:3: x.item()", "meant"), waiting("a.py:9: y.item()", "meant")
    before = cell(here.model_copy(update={"counters": here.counters | {"device_operations": 9}}))
    assert judge_cells(before, cell(there)).verdict is Verdict.IMPROVED
    (row,) = settled(baseline(before), baseline(before), cell(there))
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.startswith("a wait is allowed that was not: a.py: y.item() (meant); ")


def test_a_wait_that_is_allowed_has_to_be_accepted_also_in_the_place_of_another() -> None:
    here, there = cell(waiting("a.py:3: x.item()", "meant")), cell(waiting("b.py:9: y.item()", "meant, too"))
    (row,) = settled(baseline(here), baseline(here), there)
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.startswith("a wait is allowed that was not: b.py: y.item() (meant, too); ")
    assert settled(baseline(here), head(there), there)[0].verdict is Verdict.ACCEPTED
    assert settled(baseline(here), head(here), there)[0].verdict is Verdict.REGRESSED
    another_reason = cell(waiting("a.py:3: x.item()", "another reason"))
    for now in (another_reason, cell(here.warm, there.cold), cell(there.warm, here.cold)):
        assert settled(baseline(here), baseline(here), now)[0].verdict is Verdict.REGRESSED
    moved = cell(waiting("a.py:30: x.item()", "meant"))
    assert settled(baseline(here), baseline(here), moved)[0].verdict is Verdict.SAME
    assert settled(baseline(here), baseline(here), cell(forward()))[0].verdict is Verdict.IMPROVED


def test_a_file_older_than_the_marks_has_none() -> None:
    plain = waiting("a.py:3: x.item()", "")
    old = plain.model_copy(update={"counters": {k: n for k, n in plain.counters.items() if k != "allowed_syncs"}})
    marked = cell(waiting("a.py:3: x.item()", "meant"))
    assert settled(baseline(cell(old)), baseline(cell(old)), marked)[0].verdict is Verdict.REGRESSED
    assert settled(baseline(cell(old)), head(marked), marked)[0].verdict is Verdict.ACCEPTED


def further(kept: int, **calls: int) -> CountedCell:
    return cell(further=Further(calls={name: {"host_syncs": each} for name, each in calls.items()}, kept_bytes=kept))


def test_further_calls_are_figures_too() -> None:
    old, new = further(64, first=0), further(64, first=2)
    assert settled(baseline(old), head(new), new)[0].verdict is Verdict.ACCEPTED
    assert settled(baseline(old), baseline(old), new)[0].verdict is Verdict.REGRESSED
    for claimed, told in (
        (further(999, first=0), "holds figures that were not measured"),
        (further(64, first=9), "holds figures that were not measured"),
        (cell(), LOST),
        (further(64), LOST),
    ):
        (row,) = settled(baseline(old), head(claimed), old)
        assert row.verdict is Verdict.MISSING
        assert told in row.reason
    assert settled(baseline(cell()), head(old), old)[0].verdict is Verdict.SAME  # they were added


def test_a_wait_that_is_allowed_in_a_further_call_alone_has_to_be_accepted() -> None:
    site = Site(event="read-back", where=Where.parse("a.py:3: x.item()"), allowed="meant", times=1)

    def allowing(sites: tuple[Site, ...], **counts: int) -> CountedCell:
        return cell(further=Further(calls={"several items": {"host_syncs": 0, **counts}}, allowed=sites))

    new = allowing((site,), allowed_syncs=1)
    for old in (allowing((), allowed_syncs=0), allowing(())):  # an earlier vlbench did not count them there
        (row,) = settled(baseline(old), baseline(old), new)
        assert row.verdict is Verdict.REGRESSED
        assert "a.py" in row.reason or "allowed" in row.reason
        assert settled(baseline(old), head(new), new)[0].verdict is Verdict.ACCEPTED
        assert settled(baseline(old), baseline(old), old)[0].verdict is Verdict.SAME
    counted = allowing((), allowed_syncs=0)
    assert settled(baseline(counted), head(allowing(())), counted)[0].verdict is Verdict.MISSING
    assert settled(baseline(allowing(())), baseline(allowing(())), counted)[0].verdict is Verdict.SAME
