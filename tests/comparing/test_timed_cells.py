"""What a baseline stores of a run, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gating.timings import NAME, measured, trials
from tests.record.records import died, failed, group, reference_tower, results, timed, trial
from vlbench.comparing.timed_cells import stored_trials, timed_cells
from vlbench.errors import UsageError
from vlbench.record.schema import CellGroup, Results, Row, State

FIVE = (0.90, 0.91, 0.90, 0.89, 0.90)


def test_a_cell_holds_a_ratio_per_trial_and_all_that_makes_it_again() -> None:
    (cell,) = timed_cells(results(measured(*FIVE)), "run.json", threshold=0.1)
    assert [each.ratio for each in stored_trials(cell)] == [pytest.approx(ratio) for ratio in FIVE]
    assert {each.rounds for each in cell.trials} == {6}
    assert (cell.variant, cell.reference, cell.scenario, cell.grids) == (
        *(NAME, "baseline", "multi-image"),
        ((1, 4, 6), (1, 4, 6)),
    )
    assert cell.seconds == pytest.approx(0.9 * 0.0105)
    assert cell.counts is not None
    assert cell.counts.aten_operations == 300
    assert (cell.floor, cell.threshold) == (0.01, 0.1)


def test_trials_that_confirm_are_not_mixed_in() -> None:
    run = results(measured(*FIVE, more=trials(*[2.0] * 5, confirms=True)))
    (cell,) = timed_cells(run, "run.json")
    assert [trial.ratio for trial in cell.trials] == [pytest.approx(ratio) for ratio in FIVE]
    assert cell.seconds == pytest.approx(0.9 * 0.0105)


def test_every_state_is_a_cell_and_only_warm_ones_have_stages() -> None:
    states: tuple[State, ...] = ("warm", "cold")
    both = [
        trial(number=number, variants=(reference_tower(states=states), timed(NAME, ratio, states, stages={"mlp": 1.0})))
        for number, ratio in enumerate(FIVE)
    ]
    cells = timed_cells(results(group(*both)), "run.json")
    assert [(cell.state, bool(cell.stages)) for cell in cells] == [("warm", True), ("cold", False)]
    assert len({cell.name for cell in cells}) == 2


def test_a_scenario_of_ones_own_is_stored_by_its_path() -> None:
    run = results(measured(*FIVE, scenario="mine"))
    (cell,) = timed_cells(run, "run.json", scenarios=["other.toml", "scenarios/mine.toml"])
    assert cell.scenario == "scenarios/mine.toml"
    with pytest.raises(UsageError, match=r"run\.json: its scenario 'mine' is not a shipped one; name its file"):
        timed_cells(run, "run.json", scenarios=["mine"])


def _step() -> CellGroup:
    made = measured(*FIVE)
    rows = (*made.rows, Row(name="+rope", flags=("rope",), exactness="bit-exact", reference=NAME))
    more = [
        trial(number=each.number, variants=(*each.variants, timed("+rope", 0.8 + 0.01 * each.number)))
        for each in made.trials
    ]
    return made.model_copy(update={"rows": rows, "trials": tuple(more)})


def test_a_row_with_its_plan_handed_in_is_no_cell() -> None:
    made = _step()
    rows = (*made.rows[:-1], made.rows[-1].model_copy(update={"plan": "device"}))
    told = r"run\.json: \+rope has its plan handed in, and a gate hands none in; leave out --plan$"
    with pytest.raises(UsageError, match=told):
        timed_cells(results(made.model_copy(update={"rows": rows})), "run.json")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (results(), "it holds no times; measure with `vlbench run --trials 5`"),
        (results(measured(*FIVE), complete=False), "the run was interrupted, or had no time for all of it; go on with"),
        (results(measured(0.9)), f"{NAME} was timed in 1 trial, and a vote needs 4; measure with"),
        (results(group(trial())), "qwen2.5-vl-tiny was timed alone"),
        (results(measured(*FIVE, more=[trial(failed(NAME), number=9)])), "is inaccurate (not bit-exact in fp32"),
        (results(measured(*FIVE, more=[trial(died(NAME), number=9)])), "was not measured (its process was ended by"),
        (results(measured(*FIVE, scenario="seam rope")), "it holds a seam alone, and baselines hold towers"),
        (results(measured(*FIVE, images=("cat.jpg",))), "it was fed pictures of its own (cat.jpg)"),
        (results(_step()), "+rope is a step of an ablation or of a self-test"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_gated_on_is_refused(run: Results, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        timed_cells(run, "run.json")
    assert str(refused.value).startswith("run.json: ")
    assert words in str(refused.value)


@pytest.mark.parametrize("wrong", [{"floor": 0.05, "threshold": 0.05}, {"floor": 0.2, "threshold": 0.1}])
def test_a_cell_that_could_not_see_what_it_calls_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must lie above the floor"):
        timed_cells(results(measured(*FIVE)), "run.json", **wrong)
