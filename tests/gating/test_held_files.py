"""What a change may do to what a baseline holds beside counts: times, outputs, reasons, and the file itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gating.held import ENTRY, FEW, FILE, MANY, head, outputs, settled
from tests.record.baselines import ACCEPTED, TIMED, baseline
from vlbench.comparing.counted import judge_cells
from vlbench.gating.held import Held
from vlbench.gating.manifest import Removal
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict


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
