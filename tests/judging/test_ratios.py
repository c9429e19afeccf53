from __future__ import annotations

import math
import random

import pytest

from tests.record.records import REFERENCE_SECONDS, RIGHT, failed, timed, trial
from vlbench.judging.ratios import trial_ratio
from vlbench.record.schema import Timing, Trial, VariantTrial
from vlbench.stats.paired import paired_ratio

NAMES = ("baseline", *"abcdefgh")
ROUNDS = 30


def long_rounds(*, more: tuple[VariantTrial, ...] = ()) -> Trial:
    """The reference tower twice a round and eight others, `b` a tenth slower, while the machine changes its pace."""
    draw, pace = random.Random(7), 0.0
    order, calls = [], {name: list[tuple[float, ...]]() for name in NAMES}
    for _ in range(ROUNDS):
        places = [0, *range(len(NAMES))]
        draw.shuffle(places)
        own: dict[str, list[float]] = {name: [] for name in NAMES}
        for place in places:
            pace += draw.gauss(0, 0.03)
            own[NAMES[place]].append(math.exp(pace) * (1.1 if NAMES[place] == "b" else 1.0))
        order.append(tuple(places))
        for name, times in own.items():
            calls[name].append(tuple(times))
    timings = {
        name: Timing(seconds=tuple(sum(one) / len(one) for one in mine), calls=tuple(mine) if name == NAMES[0] else ())
        for name, mine in calls.items()
    }
    variants = [VariantTrial(name=name, accuracy=RIGHT, timings={"warm": timing}) for name, timing in timings.items()]
    return trial(variants=(*variants, *more), order={"warm": tuple(order)})


def test_neighbours_are_compared_where_the_order_was_kept() -> None:
    one = long_rounds()
    found = trial_ratio(one, "b", "baseline", "warm")
    assert found is not None
    assert found.ratio == pytest.approx(1.1, abs=0.03)
    assert found.rounds == ROUNDS
    by_rounds = trial_ratio(one.model_copy(update={"order": {}}), "b", "baseline", "warm")
    assert by_rounds is not None
    assert found.half_width < 0.7 * by_rounds.half_width


def test_any_two_variants_can_be_compared() -> None:
    one = long_rounds()
    ours, turned = trial_ratio(one, "b", "c", "warm"), trial_ratio(one, "c", "b", "warm")
    assert ours is not None
    assert turned is not None
    assert ours.ratio == pytest.approx(1 / turned.ratio)


def test_who_has_no_times_changes_nothing() -> None:
    one = long_rounds()
    (first, *others), wrong = one.variants, failed("wrong")
    shifted = {"warm": tuple(tuple(place + (place > 0) for place in places) for places in one.order["warm"])}
    with_wrong = one.model_copy(update={"variants": (first, wrong, *others), "order": shifted})
    assert trial_ratio(with_wrong, "b", "baseline", "warm") == trial_ratio(one, "b", "baseline", "warm")
    assert trial_ratio(with_wrong, "wrong", "baseline", "warm") is None
    assert trial_ratio(one, "b", "nobody", "warm") is None
    assert trial_ratio(one, "b", "baseline", "cold") is None


def test_short_rounds_are_paired() -> None:
    one = trial(timed("a", 1.25))
    assert trial_ratio(one, "a", "baseline", "warm") == paired_ratio(
        [1.25 * seconds for seconds in REFERENCE_SECONDS], REFERENCE_SECONDS
    )
