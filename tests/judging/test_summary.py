from __future__ import annotations

import pytest

from tests.judging.self_tests import self_test_group
from tests.record.records import group, timed, trial
from vlbench.judging.summary import Summary, summaries, suspects
from vlbench.judging.verdict import Floors, Verdict, missing
from vlbench.record.schema import Row, Timing, VariantTrial


@pytest.mark.parametrize("kept", range(11))
def test_suspects_are_the_same_however_many_of_the_confirming_trials_are_there(kept: int) -> None:
    rows = {"copy 1": (0.0, 1.0), "+3% 1": (0.03, 1.03), "-3%": (0.0, 0.97)}
    whole = self_test_group(rows, confirmed={"+3% 1": 1.0, "-3%": 0.97})
    assert [trial.confirms for trial in whole.trials] == [False] * 5 + [True] * 5
    cut = whole.model_copy(update={"trials": whole.trials[:kept]})
    assert suspects(cut, Floors()) == (["+3% 1", "-3%"] if kept == 1 or kept >= 4 else [])  # of one, by the quick look


def test_a_change_that_no_second_vote_confirms_does_not_stand() -> None:
    whole = self_test_group({"+3%": (0.03, 1.03)}, confirmed={"+3%": 1.03})
    alone = whole.model_copy(update={"trials": whole.trials[:5]})
    assert summaries(whole, Floors())[1].judgement.verdict is Verdict.REGRESSED
    judged = summaries(alone, Floors())[1].judgement
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.endswith("not confirmed: there was no time left")
    assert summaries(alone, Floors(), first=True)[1].judgement.verdict is Verdict.REGRESSED


def called(name: str, seconds: float, first: float | None) -> VariantTrial:
    return timed(name, 1.0, timings={"warm": Timing(seconds=(seconds,) * 6)}, first_seconds=first)


@pytest.mark.parametrize(
    ("seconds", "first", "calls"),
    [
        (0.008, 0.089, 26),  # 51 ms more of a first call, which 25.5 gains of 2 ms each make up for
        (0.005, 0.089, 11),  # 54 ms, 10.8 gains of 5 ms
        (0.008, 0.030, None),  # the first call costs less than the reference tower's
        (0.010, 0.089, None),  # nothing is gained
        (0.012, 0.089, None),
        (0.008, None, None),
    ],
)
def test_a_slow_first_call_pays_back_after_so_many_others(
    seconds: float, first: float | None, calls: int | None
) -> None:
    """The reference tower takes 10 ms, and 40 ms in its own first call."""
    asked = group(trial(variants=(called("baseline", 0.010, 0.040), called("cached", seconds, first))))
    assert summaries(asked, Floors())[1].pays_back_after == calls


@pytest.mark.parametrize(
    ("seconds", "busy", "idle"),
    [(0.010, 0.0085, 0.15), (0.010, 0.010, 0.0), (0.010, 0.011, 0.0), (None, 0.01, None), (0.01, None, None)],
)
def test_the_idle_share_is_what_the_gpu_was_not_busy_of_the_span(
    seconds: float | None, busy: float | None, idle: float | None
) -> None:
    row = Row(name="a", flags=(), exactness="bit-exact")
    found = Summary(row, missing("not judged here"), seconds=seconds, busy_seconds=busy)
    assert found.idle_share == (None if idle is None else pytest.approx(idle))
