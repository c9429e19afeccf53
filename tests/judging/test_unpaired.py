"""Runs before against runs after: error rates, power, and what must hold of any input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vlbench.judging.unpaired import RunFloors, compare_runs, log_runs
from vlbench.judging.verdict import Verdict
from vlbench.record.directions import Better
from vlbench.record.runs import Metric

FLOORS = RunFloors()
OPPOSITE = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}


def runs(*values: float, better: Better = Better.LOWER, samples: tuple[float, ...] = ()) -> list[Metric]:
    return [Metric("time", value, "s", better, samples) for value in values]


def summary(mean: float, deviation: float, count: int) -> list[Metric]:
    return [Metric("rate", mean, "requests/s", Better.HIGHER, runs=count, deviation=deviation)]


def test_three_noisy_runs_a_side_cannot_tell_and_say_what_they_could() -> None:
    judged = compare_runs(summary(17.25, 0.72, 3), summary(18.01, 0.94, 3), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.visible == pytest.approx(0.365, abs=0.01)
    shown = "3 runs against 3 with this spread show changes from 36.5 % on, and the threshold is 5.0 %"
    assert judged.reason == f"{shown}; about 56 runs a side would do"
    assert judged.estimate is not None
    assert judged.estimate.ratio == pytest.approx(17.25 / 18.01)  # of cost: the rate rose, so cost fell


def test_a_summary_is_judged_like_the_runs_it_sums_up() -> None:
    values = [0.98, 1.00, 1.02, 1.03, 0.97]
    summed = [
        Metric("time", float(np.mean(values)), "s", Better.LOWER, runs=5, deviation=float(np.std(values, ddof=1)))
    ]
    one, two = log_runs(runs(*values)), log_runs(summed)
    assert (one.runs, one.variance) == (two.runs, pytest.approx(two.variance, rel=0.01))
    assert one.mean == pytest.approx(two.mean, abs=3e-4)
    joined = log_runs([*summed, *summed])
    assert (joined.runs, joined.squares) == (10, pytest.approx(2 * two.squares))


def test_the_interval_is_the_welch_interval_of_scipy() -> None:
    from scipy.stats import ttest_ind

    before, after = [1.00, 1.02, 0.99, 1.01], [1.04, 1.09, 1.01, 1.05]
    judged = compare_runs(runs(*before), runs(*after), FLOORS).estimate
    expected = ttest_ind(np.log(after), np.log(before), equal_var=False).confidence_interval(0.99)
    assert judged is not None
    assert (math.log(judged.low), math.log(judged.high)) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_of_unequal_sides_the_interval_has_the_freedom_of_the_smaller_one() -> None:
    from scipy.stats import t

    before, after = [1.00, 1.02, 0.99, 1.01], [1.04, 1.09, 1.01]
    judged = compare_runs(runs(*before), runs(*after), FLOORS).estimate
    error = math.sqrt(np.var(np.log(before), ddof=1) / 4 + np.var(np.log(after), ddof=1) / 3)
    assert judged is not None
    assert math.log(judged.high / judged.low) == pytest.approx(2 * error * float(t.ppf(0.995, 2)))


@pytest.mark.parametrize("count", [3, 5, 8])
def test_identical_programs_are_called_no_more_often_than_promised(count: int) -> None:
    noise = np.exp(np.random.default_rng(count).normal(0, 0.03, size=(1000, 2, count)))
    verdicts = [compare_runs(runs(*before), runs(*after), FLOORS).verdict for before, after in noise.tolist()]
    called = verdicts.count(Verdict.REGRESSED) + verdicts.count(Verdict.IMPROVED)
    assert called <= 1000 * 0.01 + 3 * math.sqrt(1000 * 0.01)


def test_a_change_of_the_visible_size_is_caught_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    noise = np.exp(rng.normal(0, 0.02, size=(800, 2, 8)))
    seen = np.median([compare_runs(runs(*a), runs(*b), FLOORS).visible or 0.0 for a, b in noise.tolist()])
    moved = [compare_runs(runs(*a), runs(*(b * (1 + seen))), FLOORS).verdict for a, b in noise]
    assert 0.74 <= moved.count(Verdict.REGRESSED) / 800 <= 0.88


@pytest.mark.parametrize("count", [3, 5, 10])
def test_of_few_runs_too_the_printed_change_is_caught_four_times_in_five_and_the_interval_covers(count: int) -> None:
    """The size that one comparison prints, made real in another."""
    draw = np.random.default_rng(count)
    before, after, old, new = np.exp(draw.normal(0, 0.02, (4, 1500, count)))
    caught = covered = 0
    for sides in zip(before, after, old, new, strict=True):
        a, b, c, d = (each.tolist() for each in sides)
        printed = compare_runs(runs(*a), runs(*b), FLOORS)
        assert printed.estimate is not None
        assert printed.visible is not None
        covered += printed.estimate.low <= 1 <= printed.estimate.high
        moved = compare_runs(runs(*c), runs(*[each * (1 + printed.visible) for each in d]), FLOORS)
        caught += moved.verdict is Verdict.REGRESSED
        assert printed.visible > printed.estimate.half_width
    assert 0.77 <= caught / 1500 <= 0.83
    assert 0.98 <= covered / 1500 <= 1.0


@pytest.mark.parametrize("sizes", [(3, 10), (4, 10), (10, 4)])
def test_of_unequal_sides_the_printed_change_is_caught_at_least_four_times_in_five(sizes: tuple[int, int]) -> None:
    draw, caught = np.random.default_rng(1), 0
    for _ in range(800):
        a, b, c, d = (np.exp(draw.normal(0, 0.02, sizes[at % 2])) for at in range(4))
        printed = compare_runs(runs(*a), runs(*b), FLOORS).visible
        assert printed is not None
        caught += compare_runs(runs(*c), runs(*(d * (1 + printed))), FLOORS).verdict is Verdict.REGRESSED
    assert 0.80 <= caught / 800 <= 0.92


def test_tight_runs_are_the_same() -> None:
    judged = compare_runs(runs(1.000, 1.002, 0.999), runs(1.001, 0.998, 1.000), FLOORS)
    assert judged.verdict is Verdict.SAME


def test_a_real_change_below_the_floor_is_the_same() -> None:
    judged = compare_runs(runs(1.0, 1.0001, 0.9999), runs(1.005, 1.0051, 1.0049), FLOORS)
    assert judged.verdict is Verdict.SAME


def test_an_interval_that_reaches_beyond_the_threshold_is_not_the_same() -> None:
    floors = RunFloors(threshold=0.07)
    judged = compare_runs(runs(*[1.00, 1.01, 0.99, 1.0] * 2), runs(*[1.075, 1.045, 1.0, 1.04] * 2), floors)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason == "no change is shown, but the interval reaches beyond 7.0 %; about 19 runs a side would do"


def test_too_few_runs_show_the_estimate_of_the_files_and_no_verdict() -> None:
    before, after = (
        runs(1.0, samples=tuple(np.linspace(0.9, 1.1, 99))),
        runs(2.0, samples=tuple(np.linspace(1.9, 2.1, 99))),
    )
    judged = compare_runs(before, after, FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.startswith("1 run a side cannot show how runs differ; give 3 a side or more (the interval")
    assert judged.estimate is not None
    assert 1.8 < judged.estimate.low < 2.0 < judged.estimate.high < 2.2
    bare = compare_runs(runs(1.0), runs(2.0, 2.1, 2.2), FLOORS)
    assert bare.estimate is not None
    assert bare.estimate.confidence == 0
    assert bare.reason == "1 and 3 runs cannot show how runs differ; give 3 a side or more"


def test_runs_that_agree_better_than_their_own_samples_agree_by_luck() -> None:
    wide = tuple(np.linspace(0.5, 1.5, 9))
    lucky = compare_runs(runs(1.0, 1.0, 1.0, samples=wide), runs(1.1, 1.1, 1.1, samples=wide), FLOORS)
    assert lucky.verdict is Verdict.INCONCLUSIVE
    exact = compare_runs(runs(1.0, 1.0, 1.0), runs(1.1, 1.1, 1.1), FLOORS)  # a count, say
    assert exact.verdict is Verdict.REGRESSED


def test_a_rate_that_falls_is_worse() -> None:
    before, after = (100.0, 100.5, 99.5), (90.0, 90.5, 89.5)
    assert compare_runs(runs(*before), runs(*after), FLOORS).verdict is Verdict.IMPROVED
    rate = compare_runs(runs(*before, better=Better.HIGHER), runs(*after, better=Better.HIGHER), FLOORS)
    assert rate.verdict is Verdict.REGRESSED
    assert rate.reason.startswith("worse: -10.0 %")


values = st.lists(st.floats(0.5, 2.0), min_size=3, max_size=6)


@given(values, values, st.sampled_from(Better))
def test_swapping_the_sides_swaps_the_verdict(one: list[float], two: list[float], better: Better) -> None:
    there = compare_runs(runs(*one, better=better), runs(*two, better=better), FLOORS)
    back = compare_runs(runs(*two, better=better), runs(*one, better=better), FLOORS)
    assert back.verdict is OPPOSITE.get(there.verdict, there.verdict)
    assert back.visible == there.visible


@given(values, values, st.integers(-20, 20))
def test_the_unit_does_not_matter(one: list[float], two: list[float], power: int) -> None:
    scaled = ([2.0**power * each for each in side] for side in (one, two))
    plain = compare_runs(runs(*one), runs(*two), FLOORS)
    other = compare_runs(*(runs(*side) for side in scaled), FLOORS)
    assert plain.estimate is not None
    assert other.estimate is not None
    assert math.log(other.estimate.ratio) == pytest.approx(math.log(plain.estimate.ratio), abs=1e-9)
    assert other.visible == pytest.approx(plain.visible, rel=1e-6)


@given(values, values, st.floats(1.0, 1.5))
def test_a_larger_effect_never_makes_a_regression_go_away(one: list[float], two: list[float], more: float) -> None:
    if compare_runs(runs(*one), runs(*two), FLOORS).verdict is Verdict.REGRESSED:
        worse = compare_runs(runs(*one), runs(*(each * more * (1 + 1e-9) for each in two)), FLOORS)
        assert worse.verdict is Verdict.REGRESSED


@given(values, values)
def test_same_is_said_only_where_the_threshold_would_have_shown(one: list[float], two: list[float]) -> None:
    judged = compare_runs(runs(*one), runs(*two), FLOORS)
    if judged.verdict is Verdict.SAME:
        assert judged.visible is not None
        assert judged.estimate is not None
        assert judged.visible <= FLOORS.threshold
        assert 1 / 1.05 <= judged.estimate.low <= judged.estimate.high <= 1.05


@pytest.mark.parametrize("shift", [0.0, 0.04, 0.2])
def test_the_promised_number_of_runs_is_enough_four_times_in_five(shift: float) -> None:
    """Of sides whose spread is known: two values a side, one deviation from the mean."""
    spread = 0.06
    before = [Metric("t", 1.0, "s", Better.LOWER, runs=3, deviation=spread)]
    after = [Metric("t", math.exp(shift), "s", Better.LOWER, runs=3, deviation=spread * math.exp(shift))]
    promised = int(compare_runs(before, after, FLOORS).reason.split("about ")[1].split()[0])
    draws = np.exp(np.random.default_rng(1).normal(0, spread, size=(300, 2, promised)))
    decided = [
        compare_runs(runs(*a), runs(*(b * math.exp(shift))), FLOORS).verdict is not Verdict.INCONCLUSIVE
        for a, b in draws
    ]
    assert sum(decided) / 300 >= 0.7
    few = np.exp(np.random.default_rng(2).normal(0, spread, size=(300, 2, max(3, promised // 2))))
    called = [compare_runs(runs(*a), runs(*(b * math.exp(shift))), FLOORS).verdict for a, b in few]
    assert called.count(Verdict.INCONCLUSIVE) / 300 > 0.3


def test_where_no_number_of_runs_would_do_that_is_said() -> None:
    judged = compare_runs(runs(0.5, 1.0, 2.0), runs(0.5, 1.0, 2.0), FLOORS)
    assert judged.reason.endswith("even 1,024 runs a side would not do")


def test_spreads_of_hardly_anything_are_divided_by_without_error() -> None:
    before, after = summary(1e60, 1e-60, 3), summary(1.0, 1e-60, 3)
    assert compare_runs(before, after, RunFloors()).verdict is Verdict.REGRESSED


def test_figures_that_are_worlds_apart_overflow_nothing() -> None:
    estimate = compare_runs(runs(1e-320), runs(1e300), FLOORS).estimate
    assert estimate is not None
    assert math.isfinite(estimate.ratio)
