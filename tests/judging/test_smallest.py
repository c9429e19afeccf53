from __future__ import annotations

import pytest

from vlbench.judging.smallest import is_within, smallest
from vlbench.stats.paired import Estimate

FLAGS = {"a", "b", "c", "d"}


def worth(ratio: float, low: float = 0.0, high: float = 0.0) -> Estimate:
    return Estimate(ratio, low or ratio, high or ratio, 5, 0.95)


def test_the_cheapest_go_first_while_all_together_are_worth_no_more_than_one_per_cent() -> None:
    found = smallest(FLAGS, {"a": worth(1.2), "b": worth(1.006), "c": worth(1.003), "d": worth(1.004)}, {})
    assert found.left_out == ("c", "d")
    assert found.flags == {"a", "b"}
    assert found.spent == pytest.approx(1.003 * 1.004 - 1)


def test_a_flag_that_hurts_goes_and_pays_for_no_other() -> None:
    found = smallest(FLAGS, {"a": worth(0.8), "b": worth(1.02), "c": worth(1.03), "d": worth(1.04)}, {})
    assert found.left_out == ("a",)
    assert found.spent == 0


def test_what_was_not_measured_stays() -> None:
    assert smallest(FLAGS, {"a": worth(1.0)}, {}).flags == {"b", "c", "d"}


def test_with_a_flag_goes_what_needs_it() -> None:
    found = smallest(FLAGS, {"a": worth(1.001), "b": worth(1.5)}, {"a": {"b"}})
    assert found.left_out == ("a", "b")  # the worth of a is that of both


def test_boldly_a_flag_is_worth_what_its_interval_says_at_least() -> None:
    given = {"a": worth(1.02, 0.99, 1.05), "b": worth(1.05, 1.03, 1.07)}
    assert smallest(FLAGS, given, {}).left_out == ()
    assert smallest(FLAGS, given, {}, boldly=True).left_out == ("a",)


def test_within_is_said_of_a_whole_interval() -> None:
    assert is_within(worth(0.9, 0.8, 1.0))
    assert not is_within(worth(1.0, 0.99, 1.02))


def test_two_that_cost_nothing_together_go_as_one() -> None:
    given = {"a": worth(1.03), "b": worth(1.02), "c": worth(1.04), "d": worth(1.05)}
    assert smallest(FLAGS, given, {}, {("a", "b"): worth(0.99)}).flags == {"c", "d"}
    assert smallest(FLAGS, given, {}, {("a", "b"): worth(1.05)}).flags == FLAGS


def test_of_two_that_do_the_same_only_one_goes() -> None:
    given = {"a": worth(1.001), "b": worth(1.002), "c": worth(1.04), "d": worth(1.05)}
    assert smallest(FLAGS, given, {}).left_out == ("a", "b")
    assert smallest(FLAGS, given, {}, {("a", "b"): worth(1.2)}).left_out == ("a",)


def test_a_pair_of_which_one_was_not_timed_alone_has_no_say() -> None:
    assert smallest(FLAGS, {"a": worth(1.1)}, {}, {("a", "b"): worth(0.9)}).flags == FLAGS


def test_a_pair_has_its_say_where_one_of_it_went_with_what_it_needs() -> None:
    pair = {("b", "c"): worth(1.3)}
    given = {"a": worth(0.999), "b": worth(1.0), "c": worth(1.0), "d": worth(1.1)}
    assert smallest(FLAGS, given, {"a": {"b"}}, pair).left_out == ("a", "b")
    first = {**given, "a": worth(1.001)}
    assert smallest(FLAGS, first, {"a": {"b"}}, pair).flags == {"c", "d"}  # a takes b along, which has gone by then
