from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from tests.record.records import (
    REFERENCE_SECONDS,
    RIGHT,
    WRONG,
    died,
    failed,
    group,
    reference_tower,
    results,
    timed,
    trial,
)
from vlbench.record.base import record_of
from vlbench.record.exactness import Accuracy, Token
from vlbench.record.schema import CellGroup, Results, Row, Timing, Trial, VariantTrial

QUICK = Timing(seconds=(0.01,))


@pytest.mark.parametrize("accuracy", [None, WRONG], ids=["unchecked", "failed"])
@pytest.mark.parametrize("name", ["baseline", "quick"])
def test_a_time_without_a_passed_accuracy_check_cannot_be_made(name: str, accuracy: Accuracy | None) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' has times but no passed accuracy check"):
        VariantTrial(name=name, accuracy=accuracy, timings={"warm": QUICK})


@pytest.mark.parametrize("accuracy", [None, WRONG.model_dump()], ids=["unchecked", "failed"])
def test_a_time_without_a_passed_accuracy_check_cannot_be_read(accuracy: dict[str, Any] | None) -> None:
    content = results(group(trial(timed("quick", 0.5)))).model_dump(mode="json")
    content["groups"][0]["trials"][0]["variants"][1]["accuracy"] = accuracy
    with pytest.raises(ValidationError, match="no passed accuracy check"):
        record_of(Results, content)


def test_a_variant_without_times_says_why() -> None:
    with pytest.raises(ValidationError, match="neither times nor a reason"):
        VariantTrial(name="quick", accuracy=RIGHT)
    with pytest.raises(ValidationError, match="at least 1 item"):
        Timing(seconds=())
    with pytest.raises(ValidationError, match="plan_seconds are of another number of rounds than the times"):
        Timing(seconds=(0.01, 0.01), plan_seconds=(0.001,))


def test_the_first_row_is_the_reference_tower() -> None:
    other = Row(name="quick", flags=("quick",), exactness="ulp")
    for rows in [(), (other,), (other, Row(name="baseline", flags=None, exactness="bit-exact"))]:
        with pytest.raises(ValidationError, match="the first row of a group is the reference tower"):
            group(rows=rows)


def test_a_trial_measures_rows_of_its_group() -> None:
    alone = (Row(name="baseline", flags=None, exactness="bit-exact"),)
    with pytest.raises(ValidationError, match="trial 3 measured 'quick', which is no row of the group"):
        group(trial(timed("quick", 0.5), number=3), rows=alone)


def test_rounds_are_shared() -> None:
    lacking = timed("quick", 0.5, timings={"warm": Timing(seconds=REFERENCE_SECONDS[:-1])})
    with pytest.raises(ValidationError, match="do not share their warm rounds"):
        trial(lacking)
    other_state = timed("quick", 0.5, timings={"cold": Timing(seconds=REFERENCE_SECONDS[:-1])})
    assert len(trial(other_state, failed("bad"), died("dead")).variants) == 4


def test_trials_of_a_group_need_not_share_their_rounds() -> None:
    short = {"warm": Timing(seconds=(0.01,))}
    assert group(trial(), trial(number=1, variants=(reference_tower(timings=short),)))


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_is_finite_and_positive(time: float) -> None:
    with pytest.raises(ValidationError):
        Timing(seconds=(time,))


@pytest.mark.parametrize(
    "part",
    [(), ("fingerprint",), ("groups", 0), ("groups", 0, "rows", 0), ("groups", 0, "trials", 0, "variants", 0)],
    ids=lambda part: part[-2] if len(part) > 1 else "".join(part) or "results",
)
def test_an_unknown_field_is_refused_at_every_level(part: tuple[str | int, ...]) -> None:
    content: Any = results(group(trial())).model_dump(mode="json")
    place = content
    for step in part:
        place = place[step]
    place["surprise"] = 1
    with pytest.raises(ValidationError, match="surprise"):
        record_of(Results, content)


def test_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        group().seed = 1  # type: ignore[misc]


names = st.text(min_size=1, max_size=8).filter(lambda name: name != "baseline")


@st.composite
def groups(draw: st.DrawFn) -> CellGroup:
    """Timed, failed and lost variants in any number, in several trials."""
    known = draw(st.lists(names, max_size=3, unique=True))
    trials = []
    for number in range(draw(st.integers(0, 2))):
        rounds = draw(st.integers(1, 4))
        seconds = st.lists(st.floats(1e-9, 1e4), min_size=rounds, max_size=rounds).map(tuple)
        timings = seconds.map(lambda each: {"warm": Timing(seconds=each)})
        variants = [reference_tower(timings=draw(timings))]
        for name in known:
            good = timed(name, 1.0, timings=draw(timings))
            variants.append(draw(st.sampled_from([good, failed(name), died(name)])))
        trials.append(trial(number=number, variants=tuple(variants)))
    return group(*trials, point=draw(st.text(max_size=5)), seed=draw(st.integers(0, 2**40)))


@given(st.lists(groups(), max_size=2))
def test_results_survive_json_to_the_last_bit(made: list[CellGroup]) -> None:
    before = results(*made)
    assert Results.model_validate_json(before.model_dump_json()) == before


@pytest.mark.parametrize("error", [float("nan"), float("inf")])
def test_an_error_that_is_not_finite_survives_json(error: float) -> None:
    token = Token(item=0, frame=0, row=0, column=0, error=error)
    accuracy = Accuracy(passed=False, exactness="ulp", fp32_error=error, fp32_limit=1e-5, worst_token=token, reason="x")
    assert repr(Accuracy.model_validate_json(accuracy.model_dump_json())) == repr(accuracy)


@pytest.mark.parametrize(
    "order",
    [((0, 1),), ((0, 1),) * 5 + ((0,),), ((0, 1),) * 5 + ((0, 1, 1),), ((0, 1),) * 5 + ((0, 2),)],
    ids=["of fewer rounds", "one left out", "one twice", "of a stranger"],
)
def test_an_order_holds_each_call_once(order: tuple[tuple[int, ...], ...]) -> None:
    assert trial(timed("quick", 0.5), died("dead"), order={"warm": ((1, 0),) * 6}).order
    with pytest.raises(ValidationError, match="does not hold each of their calls once"):
        trial(timed("quick", 0.5), died("dead"), order={"warm": order})


REFERENCE = {"warm": Timing(seconds=(0.2, 0.2), calls=((0.1, 0.2, 0.3), (0.3, 0.2, 0.1)))}
OTHER = {"warm": Timing(seconds=(0.1, 0.1))}


def with_order(*order: tuple[int, ...]) -> Trial:
    return trial(variants=(reference_tower(timings=REFERENCE), timed("quick", 1, timings=OTHER)), order={"warm": order})


def test_instances_of_the_reference_have_places_of_their_own_in_the_order() -> None:
    assert with_order((0, 3, 1, 2), (3, 2, 1, 0)).instances("warm") == (0, 2, 3)
    assert with_order((0, 0, 1, 0), (0, 0, 1, 0)).instances("warm") == (0,)  # one that was called three times


@pytest.mark.parametrize("second", [(0, 3, 1), (0, 3, 3, 1), (0, 1, 2), (0, 0, 2, 1), (0, 1, 2, 4), (0, 1, 2, 3, 4)])
def test_every_instance_is_called_once_a_round(second: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="does not hold each of their calls once"):
        with_order((0, 3, 1, 2), second)


def test_calls_are_of_the_rounds_of_their_times() -> None:
    assert Timing(seconds=(0.2,), calls=((0.1, 0.2, 0.3),)).every_call == ((0.1, 0.2, 0.3),)
    assert QUICK.every_call == ((0.01,),)
    with pytest.raises(ValidationError, match="another number of rounds"):
        Timing(seconds=(0.1, 0.1), calls=((0.1,),))


def test_stages_are_read_by_round_and_of_older_files_as_one_round() -> None:
    made = trial(timed("a", 1.0, stages={"mlp": (0.1, 0.3), "rest": (0.2, 0.2)}))
    assert Trial.model_validate_json(made.model_dump_json()) == made
    assert made.variants[1].stage_seconds == {"mlp": pytest.approx(0.2), "rest": 0.2}
    older = made.model_dump_json().replace("[0.1,0.3]", "0.1").replace("[0.2,0.2]", "0.2")
    assert Trial.model_validate_json(older).variants[1].stages == {"mlp": (0.1,), "rest": (0.2,)}
    for wrong in ("0.1", {"mlp": "0.1"}, {"mlp": (0.1, 0.2), "rest": (0.1,)}, {"mlp": (-0.1,)}):
        with pytest.raises(ValidationError):
            timed("a", 1.0, stages=wrong)


def test_reasons_of_throttling_are_of_throttled_rounds() -> None:
    assert trial(throttled_rounds=(2,), throttled_by={"power cap": 1}).throttled_by == {"power cap": 1}
    with pytest.raises(ValidationError, match="throttled_by of trial 0 is of more rounds than were throttled"):
        trial(throttled_rounds=(2,), throttled_by={"power cap": 2})
