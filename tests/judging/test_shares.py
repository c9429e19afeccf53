"""Shares of right answers before and after: intervals that scipy and the literature have, and what they show."""

from __future__ import annotations

import numpy as np
import pytest

from vlbench.judging.shares import compare_shares, difference, wilson
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict
from vlbench.record.directions import Better
from vlbench.record.runs import Metric

FLOORS = RunFloors()


def share(value: float, questions: int = 0, error: float = 0.0, better: Better = Better.HIGHER) -> list[Metric]:
    return [Metric("accuracy", value, "share", better, questions=questions, error=error)]


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    from scipy.stats import binomtest

    expected = binomtest(467, 900).proportion_ci(0.99, method="wilson")
    assert wilson(467 / 900, 900, 0.99) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    """Newcombe 1998, table II, example (a), method 10: 56/70 - 48/80 is 0.2 with 0.0524 to 0.3339."""
    assert difference(48 / 80, 80, 56 / 70, 70, 0.95) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )


def test_three_thousandths_of_900_questions_are_not_distinguishable() -> None:
    judged = compare_shares(share(0.519, 900), share(0.516, 900), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.startswith("not distinguishable: -0.3 points, +-4.6 (95%) of 900 answers; about ")
    assert judged.reason.endswith(" answers a side would do")


@pytest.mark.parametrize(
    ("before", "after", "better", "verdict"),
    [
        (0.519, 0.40, Better.HIGHER, Verdict.REGRESSED),
        (0.40, 0.519, Better.HIGHER, Verdict.IMPROVED),
        (0.40, 0.519, Better.LOWER, Verdict.REGRESSED),
        (0.519, 0.40, Better.LOWER, Verdict.IMPROVED),
    ],
)
def test_what_no_luck_explains_is_called(before: float, after: float, better: Better, verdict: Verdict) -> None:
    judged = compare_shares(share(before, 900, better=better), share(after, 900, better=better), FLOORS)
    assert judged.verdict is verdict
    assert judged.estimate is not None
    assert (judged.estimate.ratio > 1) == (verdict is Verdict.REGRESSED)
    assert (judged.estimate.low > 1) == (verdict is Verdict.REGRESSED)


def test_many_questions_show_that_nothing_changed_and_the_promised_number_is_enough() -> None:
    few = compare_shares(share(0.519, 900), share(0.519, 900), FLOORS).reason
    promised = int(few.split("about ")[1].split()[0].replace(",", ""))
    assert compare_shares(share(0.519, 20 * 900), share(0.519, 20 * 900), FLOORS).verdict is Verdict.SAME
    assert compare_shares(share(0.519, promised), share(0.519, promised), FLOORS).verdict is Verdict.SAME
    third = compare_shares(share(0.519, promised // 3), share(0.519, promised // 3), FLOORS)
    assert third.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("right", "asked"), [(0.5, 900), (0.9, 200)])
def test_the_promised_number_decides_in_most_cases_and_is_more_than_was_asked(right: float, asked: int) -> None:
    draw, decided = np.random.default_rng(7), []
    for before, after in (draw.binomial(asked, right, (60, 2)) / asked).tolist():
        reason = compare_shares(share(before, asked), share(after, asked), FLOORS).reason
        if "about " not in reason:  # luck that was called, or that no number would tell from the floor
            continue
        promised = int(reason.split("about ")[1].split()[0].replace(",", ""))
        assert promised > asked
        old, new = (draw.binomial(promised, right, 2) / promised).tolist()
        verdict = compare_shares(share(old, promised), share(new, promised), FLOORS).verdict
        decided.append(verdict is not Verdict.INCONCLUSIVE)
    assert len(decided) >= 55
    assert sum(decided) / len(decided) >= 0.7


def test_what_was_not_enough_is_not_promised_to_be() -> None:
    reason = compare_shares(share(0.5, 20_000), share(0.487, 20_000), FLOORS).reason
    assert int(reason.split("about ")[1].split()[0].replace(",", "")) > 20_000


def test_a_standard_error_stands_in_for_the_number_of_questions() -> None:
    by_error = compare_shares(share(0.5, error=0.0166667), share(0.45, error=0.0165831), FLOORS)
    by_count = compare_shares(share(0.5, 900), share(0.45, 900), FLOORS)
    assert by_error.reason == by_count.reason


def test_several_runs_of_the_same_questions_are_no_more_evidence() -> None:
    one = compare_shares(share(0.5, 900), share(0.45, 900), FLOORS)
    three = compare_shares(share(0.5, 900) * 3, share(0.45, 900) * 3, FLOORS)
    assert one.reason == three.reason


def test_identical_models_are_called_no_more_often_than_promised() -> None:
    right = np.random.default_rng(3).binomial(900, 0.52, size=(1000, 2)) / 900
    called = [compare_shares(share(a, 900), share(b, 900), FLOORS).verdict for a, b in right.tolist()]
    assert 1000 - called.count(Verdict.INCONCLUSIVE) <= 10 + 3 * 10**0.5


def test_a_few_questions_that_all_were_right_do_not_show_that_nothing_changed() -> None:
    judged = compare_shares(share(1.0, 20), share(1.0, 20), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert int(judged.reason.split("about ")[1].split()[0].replace(",", "")) > 20


@pytest.mark.parametrize(
    ("right", "asked"), [(0.5, 900), (0.95, 900), (0.985, 900), (0.9, 200), (0.95, 2500), (0.2, 900)]
)
def test_the_detectable_change_is_called_in_four_cases_of_five(right: float, asked: int) -> None:
    """Towards a half, where luck is largest."""
    draw, called = np.random.default_rng(0), 0
    visible = compare_shares(share(right, asked), share(right, asked), FLOORS).visible
    assert visible is not None
    moved = right * (1 - visible if right > 0.5 else 1 + visible)
    for old, new in zip(draw.binomial(asked, right, 600), draw.binomial(asked, moved, 600), strict=True):
        verdict = compare_shares(share(old / asked, asked), share(new / asked, asked), FLOORS).verdict
        called += verdict in (Verdict.REGRESSED, Verdict.IMPROVED)
    assert 0.72 <= called / 600 <= 0.9


def test_a_change_within_the_floor_is_the_same_however_sure_it_is() -> None:
    for after in (0.499, 0.501):
        assert compare_shares(share(0.5, 10**7), share(after, 10**7), FLOORS).verdict is Verdict.SAME


def test_an_interval_that_reaches_beyond_the_threshold_is_not_the_same() -> None:
    judged = compare_shares(share(0.5, 15_000), share(0.482, 15_000), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.visible is not None
    assert judged.visible < FLOORS.threshold
