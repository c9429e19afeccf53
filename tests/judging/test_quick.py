"""The quick look: what gets a word of one process and a second, and how often nothing is called something."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.judging.looks import look
from vlbench.judging.quick import family_confidence, floor_of, quick_look, stands_out
from vlbench.judging.summary import first_vote, summaries, suspects
from vlbench.judging.verdict import Floors, Verdict
from vlbench.stats.paired import Estimate, fewest_rounds, median_ratio

FLOORS = Floors()


def estimate(ratio: float, half: float) -> Estimate:
    return Estimate(ratio, ratio / (1 + half), ratio * (1 + half), 40, 0.998)


SLOWER, FASTER, NEITHER = estimate(1.04, 0.01), estimate(0.95, 0.01), estimate(1.02, 0.03)


@pytest.mark.parametrize(
    ("first", "second", "slower", "faster", "reason"),
    [
        (SLOWER, estimate(1.03, 0.01), 2, 0, "slower in two processes (+4.0 % and +3.0 %); 5 trials give a verdict"),
        (FASTER, FASTER, 0, 2, "faster in two processes (-5.0 % and -5.0 %); 5 trials give a verdict"),
        (SLOWER, None, 1, 0, "slower in one process (+4.0 %), not measured in a second one"),
        (SLOWER, NEITHER, 1, 0, "slower in one process and not in a second one (+4.0 % and +2.0 %)"),
        (SLOWER, FASTER, 1, 0, "slower in one process and not in a second one"),
        (NEITHER, SLOWER, 0, 0, "not distinguishable in one process, whose own spread shows changes from "),
    ],
)
def test_a_word_takes_two_processes(
    first: Estimate, second: Estimate | None, slower: int, faster: int, reason: str
) -> None:
    found = quick_look(first, 0.01, second, 0.01)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.slower, found.faster) == (slower, faster)
    assert found.reason.startswith(reason)


def test_the_interval_of_two_processes_holds_both() -> None:
    found = quick_look(SLOWER, 0.01, estimate(1.03, 0.01), 0.01).estimate
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(1.03 / 1.01), pytest.approx(1.04 * 1.01))
    assert found.ratio == pytest.approx(math.sqrt(1.04 * 1.03))


def test_all_of_the_interval_lies_beyond_the_floor_and_beyond_what_identical_programs_differ_by() -> None:
    assert [stands_out(each, 0.01) for each in (SLOWER, FASTER, NEITHER)] == [1, -1, 0]
    assert stands_out(estimate(1.0201, 0.0099), 0.01) == 1
    assert stands_out(estimate(1.0199, 0.01), 0.01) == 0
    assert [floor_of(FLOORS, widest) for widest in (None, 1.005, 1.03, 1 / 1.03)] == pytest.approx(
        [0.01, 0.01, 0.03, 0.03]
    )


def test_more_rows_want_surer_intervals_and_more_rounds() -> None:
    assert [family_confidence(rows) for rows in (0, 1, 25)] == pytest.approx([0.95, 0.95, 0.998])
    assert [fewest_rounds(family_confidence(rows)) for rows in (1, 2, 25, 50)] == [6, 7, 10, 11]


def test_a_change_is_smaller_than_what_is_detectable_only_where_the_interval_is_too() -> None:
    for half in (0.0, 0.002, 0.01, 0.05, 0.3):
        found = quick_look(estimate(0.98, half), 0.01, None, 0.01)
        assert found.visible is not None
        assert found.visible > half


def test_the_change_that_a_look_prints_gets_a_word_of_two_processes_four_times_in_five() -> None:
    """Of processes that do not differ: what lies between them one process cannot know."""
    draw, caught, sure = np.random.default_rng(5), 0, family_confidence(20)
    for logs in draw.normal(0, 0.01, (400, 3, 30)):
        named, *others = (median_ratio(np.exp(each).tolist(), confidence=sure) for each in logs)
        seen = quick_look(named, 0.01, None, 0.01).visible
        assert seen is not None
        more = 1 + seen
        first, second = (
            replace(each, ratio=each.ratio * more, low=each.low * more, high=each.high * more) for each in others
        )
        caught += quick_look(first, 0.01, second, 0.01).slower == 2
    assert 0.72 <= caught / 400 <= 0.86


def test_words_come_with_a_second_process_and_only_suspects_are_in_it() -> None:
    group = look({"b": 1.06, "c": 1.0, "d": 0.9}, again={"b": 1.06, "d": 1.0})
    assert suspects(group, FLOORS) == suspects(first_vote(group), FLOORS) == ["b", "d"]
    assert {each.row.name: each.effect for each in summaries(group, FLOORS)[1:]} == {
        "b": "slower",
        "c": "unclear",
        "d": "unclear",
    }
    assert {each.effect for each in summaries(first_vote(group), FLOORS)} == {"unclear"}


def test_an_instance_that_stands_out_in_both_processes_takes_all_words_away() -> None:
    group = look({"b": 1.10, "c": 1.0}, again={"b": 1.10}, odd=1.05)
    found = summaries(group, FLOORS)[1]
    assert found.effect == "unclear"
    assert found.judgement.reason.startswith("this run proves nothing")
    assert suspects(group, FLOORS) == ["b"]  # in one process, it is the floor that rises


def test_identical_programs_get_no_word() -> None:
    """A matrix of 25 rows, of which each process makes its own luck of 1 %; simulated on the estimates."""
    draw, rows, runs = np.random.default_rng(3), 25, 400
    half = math.exp(3.1 * 0.004) - 1
    called = 0
    for luck in draw.normal(0, 0.01, (runs, 2, rows + 5)):
        floors = [floor_of(FLOORS, math.exp(max(abs(one[:5] - one[:5].mean()) * 1.25))) for one in luck]
        looks = [[estimate(math.exp(each), half) for each in one[5:] - one[:5].mean()] for one in luck]
        called += any(
            max(found.slower, found.faster) == 2
            for found in (quick_look(a, floors[0], b, floors[1]) for a, b in zip(*looks, strict=True))
        )
    assert called <= 0.05 * runs
