"""Times through a gate: real trials of a toy tower with a slower stage."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.gate.timed_toys import SCENARIO, SLOWER, TOWERS
from tests.trial.plans import python_path
from vlbench.gate.rerun import measure_again
from vlbench.gate.timed import Found, here_for, judge_timed
from vlbench.gate.timed_cells import cell_of
from vlbench.gate.timed_plans import rebuild
from vlbench.judge.exit_codes import ExitCode
from vlbench.judge.judged import Judged
from vlbench.judge.verdict import Verdict
from vlbench.record.baseline import Baseline, StoredTrial, TimedCell
from vlbench.record.fingerprint import take_fingerprint

MODULE = "edited_towers"


def wanted(name: str) -> TimedCell:
    """A cell of two copies of one program, of which the ratio is known to be 1."""
    trials = tuple(StoredTrial(ratio=ratio, low=0.995, high=1.005, rounds=30, confidence=0.95) for ratio in (1.0,) * 4)
    return TimedCell(
        variant=f"{MODULE}:{name}",
        reference=f"{MODULE}:base",
        scenario="one.toml",
        point="",
        grids=((1, 4, 4),),
        model=f"{MODULE}:base",
        dtype="float32",
        device="cpu",
        state="warm",
        seed=0,
        threads=1,
        weights="its own",
        exactness="bit-exact",
        trials=trials,
        seconds=0.001,
        floor=0.03,
        threshold=0.5,
    )


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """A gate run over a program that was not touched, and one of which a stage became slower since."""
    folder = tmp_path_factory.mktemp("timed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.delitem(sys.modules, MODULE, raising=False)
        patch.setenv("PYTHONPATH", python_path(folder))
        (folder / "one.toml").write_text(SCENARIO)
        module = folder / f"{MODULE}.py"
        module.write_text(TOWERS)
        cells = [wanted("same"), wanted("edited")]
        rebuilt = rebuild(cells)
        (group,) = measure_again(rebuilt.plans, 1, 1.0, lambda index, group: [])
        stored = []
        for cell, row in zip(cells, group.rows[1:], strict=True):
            measured = cell_of(group, row, "warm", cell.scenario)
            assert measured is not None
            stored.append(cell.model_copy(update={"stages": measured.stages, "counts": measured.counts}))
        module.write_text(SLOWER)
        baseline = Baseline(
            name="toys", fingerprint=take_fingerprint("cpu"), timed=tuple(stored), trials=4, budget=8.0, accepted=()
        )
        yield judge_timed(baseline, here_for(baseline))


def test_a_stage_that_became_slower_is_called_and_named(gated: Found) -> None:
    (row,) = [row for row in gated[0] if "edited" in row.cell.split(":")[2]]
    assert row.verdict is Verdict.REGRESSED
    assert Judged(command="gate", before="stored", after="here", rows=(row,)).exit_code is ExitCode.REGRESSED
    assert "two votes agree; most of it in the stage attention, +" in row.reason
    assert row.moves[0].name == "attention"
    assert row.moves[0].after - row.moves[0].before == pytest.approx(0.0045, rel=0.4)
    assert row.before == 1.0
    assert row.after == pytest.approx(1.25, abs=0.1)
    assert row.low is not None
    assert row.low > 1.0


def test_a_program_that_was_not_touched_is_the_same(gated: Found) -> None:
    (row,) = [row for row in gated[0] if "same" in row.cell.split(":")[2]]
    assert row.verdict is Verdict.SAME
    assert Judged(command="gate", before="stored", after="here", rows=(row,)).exit_code is ExitCode.OK
    assert row.moves == ()


def test_the_proposal_holds_the_first_votes_trials(gated: Found) -> None:
    assert gated[1] == []
    again = {cell.variant: cell for cell in gated[2]}
    assert again.keys() == {f"{MODULE}:same", f"{MODULE}:edited"}
    for cell in again.values():
        assert len(cell.trials) == 4
        assert (cell.floor, cell.threshold, cell.scenario) == (0.03, 0.5, "one.toml")
    assert again[f"{MODULE}:edited"].stages["attention"] > again[f"{MODULE}:same"].stages["attention"]
