"""What fits into the time of a trial, by a clock of the test's own."""

from __future__ import annotations

import pytest

from tests.trial.plans import job
from vlbench.trial.job import Job
from vlbench.trial.pace import Pace
from vlbench.workload.scenario import SeamPoint


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def checked_in(asked: Job, share: float, *checks: float, call: float = 0.1, begun: float = 0.0) -> Pace:
    """The pace after checks of so many seconds, in a trial that should be over by `share`, and has to be by 100."""
    clock = Clock()
    pace = Pace(asked.model_copy(update={"by": share, "until": 100.0}), now=clock)
    clock.at += begun
    for variant, seconds in zip(asked.variants, checks, strict=False):
        clock.at += seconds
        pace.note(variant.name, seconds, call)
    return pace


FOUR = job("host-grid", "exact", "best", seconds=1.0)


@pytest.mark.parametrize(
    ("share", "fitting"),
    [
        (25.0, 4),
        # Four checks of 1 s, twelve calls of 0.1 s of each row and of two instances more: 4 + 6 x 1.2 x 1.25 = 13 s.
        (13.1, 4),
        (12.9, 3),
        (5.0, 1),
    ],
)
def test_the_estimate_counts_checks_warm_up_and_the_fewest_rounds(share: float, fitting: int) -> None:
    estimate = checked_in(FOUR, share, 1.0).estimate(0.0)
    assert (estimate.seconds, estimate.fitting) == (pytest.approx(13.0), fitting)


@pytest.mark.parametrize(
    ("check", "again"),
    [
        (1.0, 12.2),  # four checks of 1 s, of which eight calls of 0.1 s are the timed batch's: 4 x 0.8 + 9 = 12.2 s
        (0.7, 11.8),  # nothing else was called
    ],
)
def test_a_further_trial_is_spared_what_is_not_timed(check: float, again: float) -> None:
    assert checked_in(FOUR, 25.0, check).estimate(0.0).again == pytest.approx(again)


@pytest.mark.parametrize(
    ("begun", "share", "fitting"), [(0.0, 37.5, 4), (0.0, 37.3, 3), (5.0, 52.5, 4), (5.0, 52.3, 3)]
)
def test_the_first_trial_leaves_further_ones_their_time(begun: float, share: float, fitting: int) -> None:
    """13 s of its own, and 12.2 s for each of two more; each of the three begins for as long before its first check."""
    first = FOUR.model_copy(update={"further": 2})
    pace = checked_in(first, share, 1.0, begun=begun)
    estimate = pace.estimate(begun)
    assert (estimate.fitting, estimate.seconds, estimate.again) == (fitting, pytest.approx(13.0), pytest.approx(12.2))
    pace = checked_in(first, share, 1.0, 1.0, 1.0, begun=begun)
    assert pace.fits_another() is (fitting == 4)


@pytest.mark.parametrize(("further", "seconds"), [(0, 9.0), (1, 18.0)])
def test_a_row_that_failed_is_timed_no_more_and_has_all_rows_checked_on_everything_again(
    further: int, seconds: float
) -> None:
    """Two checks of 1 s, and a third; four calls of 0.1 s in twelve turns: 3 + 1.25 x 4.8 = 9 s in each trial."""
    for share, fits in ((seconds - 0.1, False), (seconds + 0.1, True)):
        pace = checked_in(FOUR.model_copy(update={"further": further}), share, 1.0)
        pace.now.at += 1.0  # type: ignore[attr-defined]
        pace.note("host-grid", 1.0, None)
        assert pace.fits_another() is fits


def test_rounds_are_shared_alike_among_the_first_trial_and_further_ones() -> None:
    """Of 20 s, 2 are over, and each of two more checks two rows for 0.8 s each: 14.8 s for rounds of three trials."""
    first = FOUR.model_copy(update={"further": 2, "seconds": 100.0, "stages": False})
    assert checked_in(first, 20.0, 1.0, 1.0).left_for_rounds(["baseline"]) == pytest.approx(14.8 / 3)


def test_ways_of_a_seam_are_checked_on_what_is_timed_alone() -> None:
    way = FOUR.model_copy(update={"point": SeamPoint(seam="rope", size=8, label="n=8")})
    estimate = checked_in(way, 25.0, 1.0).estimate(0.0)
    assert estimate.again == estimate.seconds


def test_behind_queued_work_each_call_takes_the_time_of_the_queue_too() -> None:
    """Eighteen calls in place of twelve, and 36 times a queue of 0.1 s: 4 + 1.25 (6 x 1.8 + 3.6) = 22 s."""
    behind = job("host-grid", "exact", "best", seconds=1.0, states=("warm", "behind"))
    assert checked_in(behind, 30.0, 1.0).estimate(0.0).seconds == pytest.approx(22.0)


def test_rows_are_taken_in_order_while_the_next_one_fits_and_the_second_as_long_as_there_is_time() -> None:
    assert checked_in(FOUR, 1.5, 1.0).fits_another()  # there is nothing to compare with else
    assert not checked_in(FOUR, 9.0, 1.0, 1.0).fits_another()
    assert checked_in(FOUR, 13.0, 1.0, 1.0).fits_another()


def test_what_only_the_reference_tower_pays_is_not_expected_of_others() -> None:
    assert checked_in(FOUR, 30.0, 15.0, 1.0).fits_another()


def test_a_slow_row_leaves_less_for_those_after_it_whatever_its_own_time() -> None:
    """Nobody is left out for what it took: only what comes after it can be."""
    quick, slow = checked_in(FOUR, 14.0, 1.0, 1.0), checked_in(FOUR, 14.0, 1.0, 6.0, call=1.0)
    assert (quick.fits_another(), slow.fits_another()) == (True, False)


def test_a_row_to_come_may_be_as_slow_as_the_reference_tower_though_those_before_it_were_quick() -> None:
    """Two quick rows beside a reference of 1 s a call: 1 warm-up and 6 rounds of three instances take 26 s."""
    clock = Clock()
    pace = Pace(FOUR.model_copy(update={"by": 41.0, "until": 100.0}), now=clock)
    for name, seconds, call in (("baseline", 8.0, 1.0), ("host-grid", 0.1, 0.01)):
        clock.at += seconds
        pace.note(name, seconds, call)
    assert not pace.fits_another()  # 5 s for its check, and 9 s for its calls
    pace.job = pace.job.model_copy(update={"by": 49.0})
    assert pace.fits_another()


def test_without_rounds_checks_alone_are_counted() -> None:
    assert checked_in(job("host-grid", "exact", "best"), 4.5, 1.0).estimate(0.0).fitting == 4


def test_stages_are_kept_time_for_and_left_out_where_there_is_none() -> None:
    pace = checked_in(FOUR, 14.0, 1.0, 1.0)
    names = [variant.name for variant in FOUR.variants[:2]]
    assert pace.left_for_rounds(names) == 1.0  # all that was asked for
    busy = checked_in(FOUR, 3.0, 1.0, 1.0)
    assert busy.left_for_rounds(names) == pytest.approx(1.0 - 2 * 6 * 0.1 * 1.25)
    late = checked_in(FOUR, 3.0, 99.0, 0.9)  # less than one more call is left
    assert (late.fits_stages(names[0]), late.is_over) == (False, False)
