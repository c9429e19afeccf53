"""Each rule on samples made so that its own condition decides."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vlbench.selftest.other_rules import (
    RULES,
    Rule,
    Times,
    blocks,
    bootstrap_and_threshold,
    decisions,
    mean_and_deviation,
    mean_beyond,
    min_beyond,
    rank_test,
    rank_test_and_factor,
    t_test,
)

DECIDERS = [rule.decide for rule in RULES]


def sample(centre: float, spread: float = 0.01, count: int = 60, seed: int = 0) -> list[float]:
    """Normal noise with exactly this mean and relative deviation."""
    noise = np.random.default_rng(seed).standard_normal(count)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return [float(value) for value in centre * (1 + spread * noise)]


@pytest.mark.parametrize("decide", DECIDERS)
def test_equal_samples_are_not_told_apart(decide: Callable[[Times, Times], int]) -> None:
    assert decide(sample(1.0), sample(1.0)) == 0


@pytest.mark.parametrize("decide", DECIDERS)
def test_half_as_fast_is_slower(decide: Callable[[Times, Times], int]) -> None:
    assert decide(sample(1.0), sample(2.0, seed=1)) == 1


@pytest.mark.parametrize("decide", DECIDERS)
def test_twice_as_fast_is_faster_where_the_rule_has_a_word_for_it(decide: Callable[[Times, Times], int]) -> None:
    wanted = 0 if decide in (mean_beyond, min_beyond) else -1
    assert decide(sample(2.0), sample(1.0, seed=1)) == wanted


@pytest.mark.parametrize(("after", "fails"), [(1.049, 0), (1.051, 1)])
def test_pytest_benchmark_fails_beyond_five_per_cent_whatever_the_noise(after: float, fails: int) -> None:
    assert mean_beyond(sample(1.0, 0.2), sample(after, 0.2, seed=1)) == fails
    assert min_beyond([1.0, 5.0], [after, 1.2]) == fails


def test_one_slow_call_moves_the_mean_and_not_the_minimum() -> None:
    calls, slow = [1.0] * 20, [1.0] * 19 + [3.0]
    assert (mean_beyond(calls, slow), min_beyond(calls, slow)) == (1, 0)


@pytest.mark.parametrize(("after", "called"), [(1.09, 0), (1.11, 1)])
def test_asv_wants_a_tenth_however_sure_it_is(after: float, called: int) -> None:
    assert rank_test_and_factor(sample(1.0, 0.001, 20), sample(after, 0.001, 20, seed=1)) == called
    assert rank_test(sample(1.0, 0.001, 20), sample(after, 0.001, 20, seed=1)) == 1


def test_asv_wants_more_than_the_p_of_one_in_five_hundred() -> None:
    # Of 4 and 4 ordered samples, the two-sided p is 2 / 70: enough for google/benchmark and not for asv.
    before, after = [1.0, 1.1, 1.2, 1.3], [2.0, 2.1, 2.2, 2.3]
    assert (rank_test(before, after), rank_test_and_factor(before, after)) == (1, 0)
    assert rank_test(before[:3], after[:3]) == 0  # 2 / 20


@pytest.mark.parametrize(("after", "called"), [(1.005, 0), (0.995, 0), (1.03, 1), (0.97, -1)])
def test_criterion_wants_the_whole_interval_beyond_its_noise_threshold(after: float, called: int) -> None:
    before, changed = sample(1.0, 0.002), sample(after, 0.002, seed=1)
    assert t_test(before, changed) != 0  # significant all the same
    assert bootstrap_and_threshold(before, changed) == called


def test_criterion_says_nothing_where_its_t_test_does_not() -> None:
    assert bootstrap_and_threshold(sample(1.0, 0.5, 10), sample(1.1, 0.5, 10, seed=1)) == 0


@pytest.mark.parametrize(("after", "called"), [(1.01, 0), (1.02, 1), (1 / 1.02, -1)])
def test_hyperfines_deviation_has_to_leave_one_out(after: float, called: int) -> None:
    # Two deviations of 1 % are 1.4 % of the ratio, however many runs there are.
    assert mean_and_deviation(sample(1.0), sample(after, seed=1)) == called
    assert mean_and_deviation(sample(1.0, count=1000), sample(after, count=1000, seed=1)) == called


def test_welch_becomes_sure_of_anything_with_enough_samples() -> None:
    assert t_test(sample(1.0, count=20), sample(1.001, count=20, seed=1)) == 0
    assert t_test(sample(1.0, count=5000), sample(1.001, count=5000, seed=1)) == 1


@given(st.lists(st.floats(0.5, 2), min_size=1, max_size=300), st.integers(1, 120))
def test_blocks_hold_every_call_once(times: list[float], count: int) -> None:
    found = blocks(times, count)
    assert len(found) == min(count, len(times))
    assert min(times) <= min(found) <= max(found) <= max(times) + 1e-12
    if len(times) % count == 0:
        assert mean(found) == pytest.approx(mean(times))


def test_every_call_is_a_sample_where_no_number_is_given() -> None:
    assert blocks([3.0, 1.0, 2.0], None) == [3.0, 1.0, 2.0]


def test_before_and_after_come_from_different_processes() -> None:
    seen = []

    def decide(before: Times, after: Times) -> int:
        seen.append((list(before), list(after)))
        return 0

    before, after = [[10.0 + trial] for trial in range(5)], [[20.0 + trial] for trial in range(5)]
    decisions(Rule("one", decide), before, after)
    assert [(old[0] - 10, new[0] - 20) for old, new in seen] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    seen.clear()
    decisions(Rule("two", decide, processes=2), before, after)
    assert seen[0] == ([10.0, 11.0], [22.0, 23.0])
    assert seen[3] == ([13.0, 14.0], [20.0, 21.0])
    assert len(seen) == 5


def test_too_few_processes_decide_nothing() -> None:
    assert decisions(RULES[0], [[1.0]], [[2.0]]) == []
    assert decisions(Rule("two", t_test, processes=2), [[1.0]] * 3, [[2.0]] * 3) == []
