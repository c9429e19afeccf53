"""What a change may do to a baseline of the merge base, on cells made by hand."""

from __future__ import annotations

import pytest

from tests.gating.held import BEFORE, ENTRY, FEW, FILE, LOST, MANY, head, settled, waiting
from tests.record.baselines import ACCEPTED, KEY, baseline, cell, forward
from vlbench.gating.held import Held
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow, Measure
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Acceptance, Baseline, CountedCell, CountedForward


def test_what_was_accepted_with_exactly_the_new_figures_passes_with_who_and_why() -> None:
    (row,) = settled(BEFORE, head(MANY), MANY)
    assert row.verdict is Verdict.ACCEPTED
    assert row.reason == "accepted by Ada on 2025-11-03: lengths may differ; host syncs rose from 1 to 4"
    assert [(move.name, move.before, move.after) for move in row.moves] == [("host_syncs", 1, 4)]
    (better,) = settled(baseline(MANY), head(FEW), FEW)
    assert better.verdict is Verdict.ACCEPTED
    assert better.reason.endswith("host syncs fell from 4 to 1; nothing rose")


def test_nobody_accepts_where_nobody_may() -> None:
    (row,) = settled(BEFORE, head(MANY), MANY, accepts=False)
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.endswith("accepted by the change, which --no-accept does not count")


@pytest.mark.parametrize(
    ("now", "verdict"), [(MANY, Verdict.REGRESSED), (FEW, Verdict.MISSING), (cell(forward()), Verdict.MISSING)]
)
def test_figures_that_were_not_measured_accept_nothing(now: CountedCell, verdict: Verdict) -> None:
    """Neither for this change nor as room for the next one."""
    (row,) = settled(BEFORE, head(cell(forward(host_syncs=9))), now)
    assert row.verdict is verdict
    assert "toy.json holds figures that were not measured; take that back and run this again" in row.reason


def test_what_was_not_accepted_is_judged_by_the_merge_base() -> None:
    assert settled(BEFORE, BEFORE, MANY)[0].verdict is Verdict.REGRESSED
    assert settled(BEFORE, BEFORE, FEW)[0].verdict is Verdict.SAME


def test_the_first_forward_and_the_key_are_figures_too() -> None:
    cold = cell(forward(host_syncs=1), forward(host_syncs=2))
    assert (
        settled(BEFORE, head(MANY), cell(forward(host_syncs=4), forward(host_syncs=5)))[0].verdict is Verdict.REGRESSED
    )
    assert settled(BEFORE, head(cold), cold)[0].verdict is Verdict.ACCEPTED
    newer = FEW.model_copy(update={"key": KEY.model_copy(update={"torch_version": "2.14.0"})})
    assert settled(BEFORE, BEFORE, newer)[0].verdict is Verdict.MISSING
    rebased = ENTRY.model_copy(update={"what": "rebased", "reason": "a newer torch"})
    (row,) = settled(BEFORE, head(newer, entries=(ACCEPTED, rebased)), newer)
    assert row.verdict is Verdict.ACCEPTED
    assert row.reason.startswith("rebased by Ada on 2025-11-03: a newer torch; it was counted with torch 2.13.0")


def without(counter: str, **forwards: CountedForward) -> CountedCell:
    """FEW as a file that does not list a counter of these forwards."""
    kept = {name: value for name, value in FEW.warm.counters.items() if name != counter}
    return FEW.model_copy(update={name: each.model_copy(update={"counters": kept}) for name, each in forwards.items()})


@pytest.mark.parametrize("forwards", [{"cold": FEW.cold}, {"warm": FEW.warm}], ids=["cold", "warm"])
@pytest.mark.parametrize("entries", [(ACCEPTED,), (ACCEPTED, ENTRY)], ids=["accepted by nobody", "accepted"])
def test_a_counter_that_the_change_takes_out_of_the_list_is_missing(
    forwards: dict[str, CountedForward], entries: tuple[Acceptance, ...]
) -> None:
    """Whoever accepted it, and although nothing rose yet: the next change would not be judged by it."""
    (row,) = settled(BEFORE, head(without("host_syncs", **forwards), entries=entries), FEW)
    assert row.verdict is Verdict.MISSING
    assert row.reason.startswith(LOST)


@pytest.mark.parametrize("measured", [True, False])
def test_a_counter_that_is_not_measured_either_may_go_where_that_is_accepted(measured: bool) -> None:
    """One that is still measured may not."""
    less = without("allowed_syncs", cold=FEW.cold, warm=FEW.warm)
    for entries, accepted in (((ACCEPTED, ENTRY), True), ((ACCEPTED,), False)):
        (row,) = settled(BEFORE, head(less, entries=entries), FEW if measured else less)
        lacks = measured or not accepted
        assert (row.verdict is Verdict.MISSING, row.reason.startswith(LOST)) == (lacks, measured), row.reason


def test_a_new_cell_may_lack_counters_that_are_newer_than_its_file() -> None:
    new = without("allowed_syncs", cold=FEW.cold, warm=FEW.warm).model_copy(update={"tower": "toy:New"})
    now = FEW.model_copy(update={"tower": "toy:New"})
    assert [row.verdict for row in settled(BEFORE, head(FEW, new), FEW, now)] == [Verdict.SAME] * 2


def test_figures_that_moved_are_accepted_by_somebody_also_where_nothing_got_worse() -> None:
    """Else steps within a band add up, one change after the other."""
    band = {"allocations": 0.1}
    before, moved = (cell(forward(allocations=each), bands=band) for each in (100, 105))
    for old, new in ((before, moved), (MANY, FEW)):
        (row,) = settled(baseline(old), head(new, entries=(ACCEPTED,)), new)
        assert (row.verdict, row.reason.endswith("; accepted by nobody")) == (Verdict.MISSING, True)
        (row,) = settled(baseline(old), head(new), new, accepts=False)
        assert (row.verdict, row.reason.endswith("which --no-accept does not count")) == (Verdict.MISSING, True)
    assert settled(baseline(before), head(moved), moved)[0].verdict is Verdict.SAME
    assert settled(baseline(MANY), head(FEW), FEW)[0].verdict is Verdict.ACCEPTED


def test_a_band_that_the_change_widens_does_not_count_and_is_shown() -> None:
    wide = FEW.model_copy(update={"bands": {"host_syncs": 0.9}})
    now = cell(forward(host_syncs=2))
    settings, row = settled(BEFORE, head(wide), now)
    assert (settings.verdict, row.verdict) == (Verdict.ACCEPTED, Verdict.REGRESSED)
    assert f"{FEW.name}: band of host_syncs none -> 90.0 %; judged as the merge" in settings.reason
    settings, row = settled(BEFORE, head(wide), FEW, accepts=False)
    assert (settings.verdict, row.verdict) == (Verdict.MISSING, Verdict.SAME)
    for moved, told in ((head(FEW, trials=9), "trials 5 -> 9"), (head(FEW, name="other"), "name toy -> other")):
        (settings, _) = settled(BEFORE, moved, FEW)
        assert told in settings.reason


def test_a_band_of_the_merge_base_counts() -> None:
    before = baseline(cell(forward(allocations=100), bands={"allocations": 0.1}))
    assert settled(before, before, cell(forward(allocations=105)))[0].verdict is Verdict.SAME


def test_cells_and_files_that_are_gone_are_missing() -> None:
    other = cell(tower="toy:Other")
    gone, *rows = settled(baseline(FEW, other), head(FEW), FEW, other)
    assert (gone.cell, gone.verdict) == (other.name, Verdict.MISSING)
    assert [row.verdict for row in rows] == [Verdict.SAME] * 2
    assert gone.reason == "the merge base with main (0123456) holds it, and toy.json does not hold it; bring it back"
    gone, row = settled(BEFORE, None, MANY)
    assert (gone.verdict, row.verdict) == (Verdict.MISSING, Verdict.REGRESSED)
    assert "toy.json is gone (renamed, moved or deleted?); bring it back" in gone.reason


def test_a_new_cell_must_hold_what_was_measured() -> None:
    new = cell(forward(host_syncs=9), tower="toy:New", bands={"host_syncs": 0.5})
    fewer = new.model_copy(update={"cold": forward(host_syncs=8), "warm": forward(host_syncs=8)})
    assert [row.verdict for row in settled(BEFORE, head(FEW, new), FEW, new)] == [Verdict.SAME] * 2
    exact = new.model_copy(update={"bands": {}})  # then it is fewer, and called better
    for each in (
        settled(BEFORE, head(FEW, new), FEW, fewer),
        settled(None, head(new), fewer),
        settled(None, head(exact), fewer),
    ):
        assert each[-1].verdict is Verdict.MISSING
        assert "save or accept it again" in each[-1].reason


def test_a_history_that_was_rewritten_accepts_nothing() -> None:
    (row,) = settled(BEFORE, head(MANY, entries=(ENTRY,)), MANY)
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.endswith("accepted by nobody")
    _, rewritten = settled(BEFORE, head(FEW, entries=(ENTRY,)), FEW)
    assert rewritten.verdict is Verdict.MISSING
    assert "its acceptances are not those of the merge base" in rewritten.reason


def test_an_entry_in_the_middle_of_the_history_is_part_of_it() -> None:
    before = baseline(FEW, accepted=(ACCEPTED, ENTRY))
    other = ENTRY.model_copy(update={"reason": "another"})
    assert settled(before, head(MANY, entries=(ACCEPTED, other, ENTRY)), MANY)[0].verdict is Verdict.REGRESSED
    assert settled(before, head(MANY, entries=(ACCEPTED, ENTRY, other)), MANY)[0].verdict is Verdict.ACCEPTED


def test_an_entry_beside_a_history_that_was_rewritten_accepts_nothing_either() -> None:
    (row,) = settled(BEFORE, head(MANY, entries=(ENTRY, ENTRY)), MANY)
    assert (row.verdict, row.reason.endswith("accepted by nobody")) == (Verdict.REGRESSED, True)


def test_what_could_not_be_measured_is_not_accepted() -> None:
    row = JudgedRow.missing(FEW.name, "counters", "it cannot be counted")
    blind = JudgedRow(cell=FEW.name, measure="counters", verdict=Verdict.INCONCLUSIVE, reason="nobody knows")
    for each in (row, blind):
        assert Held(FILE, BEFORE, head(MANY), "base").settle(GateResult([each], [], [])).rows == [each]


def test_a_cell_of_other_grids_is_another_cell() -> None:
    claimed = MANY.model_copy(update={"grids": ((1, 4, 4),)})
    (row,) = settled(BEFORE, head(claimed), MANY)
    assert row.verdict is Verdict.REGRESSED
    assert "holds figures that were not measured" in row.reason


def test_a_wrong_result_is_never_accepted() -> None:
    held = Held(FILE, BEFORE, head(MANY), "the merge base")
    never: list[tuple[Measure, Verdict]] = [
        ("accuracy", Verdict.INACCURATE),
        ("counters", Verdict.INACCURATE),
        ("accuracy", Verdict.MISSING),
    ]
    for measure, verdict in never:
        wrong = JudgedRow(cell=MANY.name, measure=measure, verdict=verdict, reason="zeros")
        assert held.settle(GateResult([wrong], [], [MANY])).rows == [wrong]


@pytest.mark.parametrize("verdict", [Verdict.IMPROVED, Verdict.FEWER])
def test_a_count_that_fell_is_held_to_what_was_accepted_whether_its_result_is_known_or_not(verdict: Verdict) -> None:
    new, forged = (forward(host_syncs=each) for each in (1, 99_999))
    added, lies = (cell(each, tower="toy:New") for each in (new, forged))
    allowed = cell(waiting("a.py:9: y.item()", "meant"))

    def found(after: Baseline, now: CountedCell, *, old: CountedCell = MANY, accepts: bool = True) -> Verdict:
        row = JudgedRow(cell=now.name, measure="counters", verdict=verdict, reason="fell")
        return Held(FILE, baseline(old), after, "base", accepts).settle(GateResult([row], [], [now])).rows[-1].verdict

    assert found(head(cell(forged)), FEW) is Verdict.MISSING
    assert found(head(FEW, entries=(ACCEPTED,)), FEW) is Verdict.MISSING
    assert found(head(FEW), FEW, accepts=False) is Verdict.MISSING
    assert found(head(FEW), FEW) is Verdict.ACCEPTED
    assert found(head(MANY, lies), added) is Verdict.MISSING
    assert found(head(MANY), allowed) is Verdict.REGRESSED
    assert found(head(MANY), FEW) is verdict
