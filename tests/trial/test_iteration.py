"""What the rounds tell a capture: every timed call, whether it ends well or not."""

from __future__ import annotations

import pytest
from torch import Tensor

from tests.trial.plans import MIN_ROUNDS
from tests.trial.test_rounds import NAMES, Race
from vlbench.implementations.stage import listen
from vlbench.profiling.tally import Tally


@pytest.mark.parametrize("fails", [False, True])
def test_every_timed_call_is_counted_and_is_one_iteration(fails: bool) -> None:
    def broken(entry: Tensor) -> Tensor:
        raise ValueError

    race = Race(states=("warm", "cold"))
    if fails:
        race.runs["b"] = broken
    counted: list[int] = []
    rounds = race.made()
    rounds.count = lambda: counted.append(len(race.called))
    tally = Tally(lambda: len(race.called))
    with listen(tally):
        list(rounds.run(0.0, now=lambda: race.now))
    charges = tally.charges(lambda start, end: end - start)
    expected = 2 * MIN_ROUNDS * len(NAMES) - (2 * MIN_ROUNDS - 1) * fails
    assert len(race.called) == expected
    assert counted == list(range(expected))  # before each call
    assert charges["iteration"].visits == charges["iteration"].own == expected
