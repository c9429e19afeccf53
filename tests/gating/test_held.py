"""What a change may do to a baseline of the merge base, on cells made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.record.baselines import ACCEPTED, KEY, TIMED, baseline, cell, forward
from vlbench.comparing.captured import judge_captured
from vlbench.comparing.counted import judge_cells
from vlbench.gating.changes import changes
from vlbench.gating.held import Held
from vlbench.gating.manifest import Removal
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow, Measure
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Acceptance, Baseline, CapturedCell, CapturedRange, CountedCell, CountedForward
from vlbench.record.counted import Further
from vlbench.record.outputs import StoredCall, StoredOutputs
from vlbench.record.site import Site, Where

FILE = Path("toy.json")
ENTRY = ACCEPTED.model_copy(update={"what": "accepted", "by": "Ada", "reason": "lengths may differ"})
FEW, MANY = cell(forward(host_syncs=1)), cell(forward(host_syncs=4))
BEFORE = baseline(FEW)
LOST = "toy.json no longer lists what the merge base with main (0123456) does; take that back"


def head(*cells: CountedCell, entries: tuple[Acceptance, ...] = (ACCEPTED, ENTRY), **fields: Any) -> Baseline:
    return baseline(*cells, accepted=entries, **fields)


def settled(
    before: Baseline | None, after: Baseline | None, *now: CountedCell, accepts: bool = True
) -> list[JudgedRow]:
    held = Held(FILE, before, after, "the merge base with main (0123456)", accepts)
    measured = {each.name: each for each in now}
    rows = [judge_cells(each, measured[each.name]) for each in held.judged.counted]
    return list(held.settle(GateResult(rows, [], now)).rows)


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


def test_what_is_unchecked_at_the_base_stays_so_and_a_new_tower_brings_its_reason() -> None:
    told = "outputs of toy:Tower: changed"
    before = baseline(FEW, unchecked={"toy:Tower": "old"})
    after = head(FEW, unchecked={"toy:Tower": "another", "toy:New": "new"}, outputs=outputs("brought"))
    judged = Held(FILE, before, after, "base").judged
    assert (judged.unchecked, judged.outputs) == ({"toy:Tower": "old", "toy:New": "new"}, ())
    assert told not in judged.accepted[-1].changes
    (new,) = outputs("brought")
    brought = head(FEW, outputs=(new.model_copy(update={"tower": "toy:New"}),))
    assert Held(FILE, before, brought, "base").judged.outputs == brought.outputs


REMOVED = Removal(file="toy.json", by="Ada", reason="gone", date=ENTRY.date)


@pytest.mark.parametrize(
    ("fields", "verdicts", "told"),
    [
        ({}, [Verdict.ACCEPTED] * 2, "removed by Ada on 2025-11-03: gone"),
        ({"accepts": False}, [Verdict.MISSING] * 2 + [Verdict.REGRESSED], "which --no-accept does not count"),
        ({"fault": "toy.json: not JSON"}, [Verdict.MISSING] * 2 + [Verdict.REGRESSED], "toy.json: not JSON"),
    ],
)
def test_a_file_that_was_taken_out_with_a_reason(fields: Any, verdicts: list[Verdict], told: str) -> None:
    held = Held(FILE, baseline(FEW, timed=(TIMED,)), None, "base", removal=REMOVED, **fields)
    rows = held.settle(GateResult([judge_cells(FEW, MANY)], [], [MANY])).rows
    assert [row.verdict for row in rows] == verdicts
    assert [row.measure for row in rows[:2]] == ["counters", "time"]
    assert all(told in row.reason for row in rows[:2])


def test_a_wait_that_is_newly_allowed_is_no_improvement() -> None:
    here, there = waiting("a.py:3: x.item()", "meant"), waiting("a.py:9: y.item()", "meant")
    before = cell(here.model_copy(update={"counters": here.counters | {"device_operations": 9}}))
    assert judge_cells(before, cell(there)).verdict is Verdict.IMPROVED
    (row,) = settled(baseline(before), baseline(before), cell(there))
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.startswith("a wait is allowed that was not: a.py: y.item() (meant); ")


def captured(**counters: int) -> CapturedCell:
    found = CapturedRange(name="vlbench:forward", instances=9, counters=counters)
    return CapturedCell(name="run", source="nsys", version="2025.1", gpus=("H100",), facts={}, ranges=(found,))


def test_a_range_that_the_change_takes_out_of_a_capture_is_missing() -> None:
    one = captured(launches=10)
    other = one.ranges[0].model_copy(update={"name": "vlbench:other"})
    two = one.model_copy(update={"ranges": (*one.ranges, other)})
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    held = Held(FILE, baseline(captured=(two,)), head(captured=(one,)), "base")
    row = list(held.settle(GateResult([same], [], [two])).rows)[-1]
    assert (row.verdict, "no longer lists what base does" in row.reason) == (Verdict.MISSING, True)


def test_a_range_that_the_new_capture_names_otherwise_is_accepted_so() -> None:
    old, stray = captured(launches=10), captured(launches=10)
    new = old.model_copy(update={"ranges": (old.ranges[0].model_copy(update={"name": "vlbench:renamed"}),)})
    gone = judge_captured(old, new)
    assert gone.verdict is Verdict.MISSING
    for measured, verdict in ((new, Verdict.ACCEPTED), (stray, Verdict.MISSING)):
        held = Held(FILE, baseline(captured=(old,)), head(captured=(new,)), "base")
        assert list(held.settle(GateResult([gone], [], [measured])).rows)[-1].verdict is verdict


def test_a_capture_whose_name_begins_like_another_is_that_other() -> None:
    few = captured(launches=10)
    longer, more = (captured(launches=each).model_copy(update={"name": "runs"}) for each in (10, 12))
    worse = JudgedRow(cell="capture runs", measure="counters", verdict=Verdict.REGRESSED, reason="launches rose")
    held = Held(FILE, baseline(captured=(few, longer)), head(captured=(few, more)), "base")
    assert list(held.settle(GateResult([worse], [], [few, more])).rows)[-1].verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"counters": {"launches": 10}, "unsteady": ("syncs",)}, "unsteady"),
        ({"mixed": {"syncs": (2.0, 9_999)}, "counters": {"launches": 10}}, "mixed (2 on average, at most 9,999)"),
    ],
)
def test_a_counter_that_the_change_lets_vary_is_accepted_by_its_name(fields: Any, told: str) -> None:
    """Else any acceptance would let the next change rise."""
    one = captured(launches=10, syncs=2)
    loose = one.model_copy(update={"ranges": (one.ranges[0].model_copy(update=fields),)})
    assert judge_captured(loose, captured(launches=10, syncs=500)).verdict is not Verdict.MISSING
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    before, by_name = (
        baseline(captured=(one,)),
        ENTRY.model_copy(update={"changes": changes(baseline(captured=(one,)), baseline(captured=(loose,)))}),
    )
    assert by_name.changes == (f"run: syncs in vlbench:forward 2 -> {told}",)

    def found(after: Baseline, accepts: bool = True) -> JudgedRow:
        return Held(FILE, before, after, "base", accepts).settle(GateResult([same], [], [one])).rows[-1]

    row = found(head(captured=(loose,), entries=(ACCEPTED, by_name)))
    assert (row.verdict, "no longer judged to the digit: syncs in vlbench:forward" in row.reason) == (
        Verdict.ACCEPTED,
        True,
    )
    others = (
        by_name.model_copy(update={"changes": (text,)})
        for text in ("run: hidden_syncs in vlbench:forward 2 -> 3", "other: " + by_name.changes[0])
    )
    for entries in ((ACCEPTED,), (ACCEPTED, ENTRY), *((ACCEPTED, each) for each in others)):
        assert found(head(captured=(loose,), entries=entries)).verdict is Verdict.MISSING
    assert found(head(captured=(loose,), entries=(ACCEPTED, by_name)), accepts=False).verdict is Verdict.MISSING


def test_a_new_capture_lets_vary_only_what_varies() -> None:
    one = captured(launches=10, syncs=2)
    loose = one.model_copy(
        update={"ranges": (one.ranges[0].model_copy(update={"unsteady": ("syncs",), "counters": {"launches": 10}}),)}
    )
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    for claimed, verdict in ((loose, Verdict.MISSING), (one, Verdict.SAME)):
        held = Held(FILE, BEFORE, head(FEW, captured=(claimed,)), "base")
        assert held.settle(GateResult([same], [], [one])).rows[-1].verdict is verdict


@pytest.mark.parametrize("title", ["capture run", "capture run, H100"])
def test_a_capture_is_accepted_with_exactly_its_figures(title: str) -> None:
    few, many = captured(launches=10), captured(launches=12)
    wide = captured(launches=11).model_copy(update={"bands": {"launches": 0.9}})
    worse = JudgedRow(cell=title, measure="counters", verdict=Verdict.REGRESSED, reason="launches rose")

    def found(before: CapturedCell, after: CapturedCell) -> JudgedRow:
        held = Held(FILE, baseline(captured=(before,)), head(captured=(after,)), "base")
        return list(held.settle(GateResult([worse], [], [many])).rows)[-1]

    assert found(few, many).verdict is Verdict.ACCEPTED
    for claimed in (captured(launches=11), wide, few):  # no band takes the place of figures
        assert found(few, claimed).verdict is Verdict.REGRESSED


def test_times_are_accepted_where_the_vote_calls_them_the_same() -> None:
    def timed(*ratios: float) -> Any:
        trials = tuple(
            TIMED.trials[0].model_copy(update={"ratio": each, "low": each - 0.01, "high": each + 0.01})
            for each in ratios
        )
        return TIMED.model_copy(update={"trials": trials})

    def found(claimed: Any, measured: Any, verdict: Verdict = Verdict.REGRESSED) -> Verdict:
        row = JudgedRow(cell=TIMED.name, measure="time", verdict=verdict, reason="it was measured")
        held = Held(FILE, baseline(timed=(TIMED,)), head(timed=(claimed,)), "base")
        return list(held.settle(GateResult([row], [], [measured])).rows)[-1].verdict

    slower, wild = timed(*[0.6] * 5), timed(0.4, 0.5, 0.6, 0.7, 0.8)
    assert found(slower, timed(0.601, 0.599, 0.6, 0.602, 0.6)) is Verdict.ACCEPTED
    assert found(slower, timed(*[0.7] * 5)) is Verdict.REGRESSED
    assert found(wild, wild) is Verdict.ACCEPTED  # what no vote calls the same is the same to the last digit
    assert found(slower, slower, Verdict.INCONCLUSIVE) is Verdict.INCONCLUSIVE
    near = timed(*[0.504] * 5)  # by less than a vote calls
    assert found(near, near, Verdict.SAME) is Verdict.SAME
    unsaid = Held(FILE, baseline(timed=(TIMED,)), head(timed=(near,), entries=(ACCEPTED,)), "base")
    row = JudgedRow(cell=TIMED.name, measure="time", verdict=Verdict.SAME, reason="the same")
    assert list(unsaid.settle(GateResult([row], [], [near])).rows)[-1].verdict is Verdict.MISSING
    wide = slower.model_copy(update={"floor": 0.1, "threshold": 0.2})
    assert found(wide, timed(*[0.64] * 5)) is Verdict.ACCEPTED
    assert found(slower, timed(*[0.64] * 5)) is Verdict.REGRESSED


@pytest.mark.parametrize(
    "moved",
    [{"exactness": "result-changing"}, {"seed": 99}, {"fed": "0"}, {"weights_digest": "0"}, {"slow_down": 0.5}, "cpu"],
    ids=str,
)
def test_all_by_which_times_are_judged_is_that_of_the_merge_base_or_accepted(moved: Any) -> None:
    before = baseline(timed=(TIMED,))
    after: dict[str, Any] = {"timed": (TIMED.model_copy(update=moved),)} if moved != "cpu" else {}
    if moved == "cpu":
        after["fingerprint"] = before.fingerprint.model_copy(update={"cpu": "another"})
    same = JudgedRow(cell=TIMED.name, measure="time", verdict=Verdict.SAME, reason="the same")
    for entries, verdict in (((ACCEPTED,), Verdict.MISSING), ((ACCEPTED, ENTRY), Verdict.ACCEPTED)):
        held = Held(FILE, before, head(entries=entries, **{"timed": (TIMED,), **after}), "base")
        assert [row.verdict for row in held.settle(GateResult([same], [], [])).rows] == [verdict, Verdict.SAME]


@pytest.mark.parametrize("verdict", [None, Verdict.SAME, Verdict.INCONCLUSIVE, Verdict.REGRESSED])
def test_times_that_moved_are_accepted_also_where_times_have_no_say(verdict: Verdict | None) -> None:
    """None where no time was asked for."""
    far = (each.model_copy(update={"ratio": 9.0, "low": 8.9, "high": 9.1}) for each in TIMED.trials)
    times, before = TIMED.model_copy(update={"trials": tuple(far)}), baseline(timed=(TIMED,))
    rows = [JudgedRow(cell=TIMED.name, measure="time", verdict=verdict, reason="", gates=False)] if verdict else []
    for entries, wanted in (((ACCEPTED,), Verdict.MISSING), ((ACCEPTED, ENTRY), Verdict.ACCEPTED)):
        held = Held(FILE, before, head(timed=(times,), entries=entries), "base")
        (row,) = held.settle(GateResult(rows, [], [])).rows
        assert (row.verdict, row.gates) == (wanted, True)
    assert Held(FILE, before, before, "base").settle(GateResult(rows, [], [])).rows == rows


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


def test_times_of_another_machine_are_accepted_in_sight() -> None:
    times = TIMED.model_copy(
        update={
            "trials": tuple(each.model_copy(update={"ratio": 0.7, "low": 0.69, "high": 0.71}) for each in TIMED.trials)
        }
    )
    before, after = baseline(FEW, timed=(TIMED,)), head(FEW, timed=(times,))
    elsewhere = JudgedRow.missing(TIMED.name, "time", "timed on another class of machine", gates=False)
    (row,) = Held(FILE, before, after, "base").settle(GateResult([elsewhere], [], [])).rows
    assert (row.verdict, row.gates) == (Verdict.ACCEPTED, True)
    assert "toy.json holds other times, which were not judged here" in row.reason
    (row,) = Held(FILE, before, after, "base", accepts=False).settle(GateResult([elsewhere], [], [])).rows
    assert (row.verdict, row.gates) == (Verdict.MISSING, True)
    same = JudgedRow(cell=TIMED.name, measure="time", verdict=Verdict.SAME, reason="the same")
    (row,) = Held(FILE, before, after, "base").settle(GateResult([same], [], [])).rows
    assert row.verdict is Verdict.MISSING


def waiting(line: str, allowed: str) -> CountedForward:
    site = Site(event="read-back", where=Where.parse(line), allowed=allowed, times=1)
    counters = {"read_backs": 1, "allowed_syncs" if allowed else "host_syncs": 1}
    return forward(**counters).model_copy(update={"sites": (site,)})  # type: ignore[no-any-return]


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


def outputs(raised: str) -> tuple[StoredOutputs, ...]:
    return (StoredOutputs(tower="toy:Tower", names="", weights="", calls=(StoredCall(name="small", raised=raised),)),)


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


def test_outputs_are_those_of_the_merge_base_until_the_change_accepts_others() -> None:
    before = baseline(FEW, outputs=outputs("old"))
    entry = ENTRY.model_copy(update={"changes": ("outputs of toy:Tower: changed",)})
    after = head(FEW, entries=(ACCEPTED, entry), outputs=outputs("new"))
    held = Held(FILE, before, after, "the merge base")
    assert held.judged.outputs == outputs("new")
    settings, row = settled(before, after, FEW)
    assert (settings.verdict, row.verdict) == (Verdict.ACCEPTED, Verdict.SAME)
    assert "outputs of toy:Tower: changed" in settings.reason
    about_others = head(FEW, outputs=outputs("new"))
    nobody = head(FEW, entries=(ACCEPTED,), outputs=outputs("new"))
    rewritten = head(FEW, entries=(entry,), outputs=outputs("new"))
    for other in (about_others, nobody, rewritten):
        assert Held(FILE, before, other, "the merge base").judged.outputs == outputs("old")
    earlier = before.model_copy(update={"accepted": (ACCEPTED, entry)})  # it accepted others then
    assert Held(FILE, earlier, head(FEW, entries=(ACCEPTED, entry), outputs=outputs("new")), "").judged == earlier
    assert Held(FILE, before, after, "the merge base", accepts=False).judged.outputs == outputs("old")
