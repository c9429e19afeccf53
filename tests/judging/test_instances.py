"""A run whose reference tower differs from itself proves nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from tests.record.records import RIGHT, group, trial
from vlbench.judging.instances import odd_instance, widest
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.schema import CellGroup, Timing, Trial, VariantTrial

FLOORS = Floors()


def one_trial(number: int, ratios: Mapping[int, float], confirms: bool = False) -> Trial:
    """Thirty rounds of the reference tower's three instances (places 0, 2, 3) and of `a` (1), 5 % slower.

    `ratios` are those of places that are not what they should be.
    """
    draw = random.Random(number)
    takes = {0: 1.0, 1: 1.05, 2: 1.0, 3: 1.0} | ratios
    order, calls, ours = [], [], []
    for _ in range(30):
        order.append(tuple(draw.sample(range(4), 4)))
        one = {place: 0.004 * takes[place] * math.exp(draw.gauss(0, 0.004)) for place in takes}
        calls.append((one[0], one[2], one[3]))
        ours.append(one[1])
    reference = Timing(seconds=tuple(sorted(each)[1] for each in calls), calls=tuple(calls))
    timings = {"baseline": reference, "a": Timing(seconds=tuple(ours))}
    variants = tuple(VariantTrial(name=name, accuracy=RIGHT, timings={"warm": each}) for name, each in timings.items())
    return trial(number=number, confirms=confirms, variants=variants, order={"warm": tuple(order)})


def voted(ratios: Mapping[int, float], again: Mapping[int, float]) -> CellGroup:
    first = (one_trial(number, ratios) for number in range(5))
    return group(*first, *(one_trial(number, again, confirms=True) for number in range(5, 10)))


@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("when", ["first", "second"])
def test_a_run_in_which_an_instance_of_the_reference_stands_out_proves_nothing(place: int, when: str) -> None:
    odd = {place: 1.03}
    found = voted(odd if when == "first" else {}, odd if when == "second" else {})
    judged = summaries(found, FLOORS)[1].judgement
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.startswith("this run proves nothing: one instance of the reference tower differs")
    assert judged.estimate is not None


def test_instances_that_agree_let_the_verdict_stand() -> None:
    found = voted({}, {})
    assert summaries(found, FLOORS)[1].judgement.verdict is Verdict.REGRESSED
    assert odd_instance(found.trials[:5], FLOORS, "warm") == ""


@pytest.mark.parametrize(("place", "ratio"), [(0, 1.02), (2, 0.97), (3, 1.01)])
def test_how_far_the_instances_are_apart(place: int, ratio: float) -> None:
    trials = [one_trial(number, {place: ratio}) for number in range(3)]
    assert widest(trials, "warm") == pytest.approx(ratio, abs=0.004)
    assert widest(trials, "cold") is None
    bare = [each.model_copy(update={"order": {}}) for each in trials]
    assert widest(bare, "warm") is None
