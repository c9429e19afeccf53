from __future__ import annotations

import pytest

from tests.judging.self_tests import self_test_group
from vlbench.judging.summary import suspects
from vlbench.judging.verdict import Floors


@pytest.mark.parametrize("kept", range(11))
def test_suspects_are_the_same_however_many_of_the_confirming_trials_are_there(kept: int) -> None:
    rows = {"copy 1": (0.0, 1.0), "+3% 1": (0.03, 1.03), "-3%": (0.0, 0.97)}
    whole = self_test_group(rows, confirmed={"+3% 1": 1.0, "-3%": 0.97})
    assert [trial.confirms for trial in whole.trials] == [False] * 5 + [True] * 5
    cut = whole.model_copy(update={"trials": whole.trials[:kept]})
    assert suspects(cut, Floors()) == (["+3% 1", "-3%"] if kept >= 4 else [])
