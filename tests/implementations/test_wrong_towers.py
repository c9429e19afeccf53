from __future__ import annotations

import pytest

from tests.implementations.grids import MIXED
from tests.implementations.towers import QWEN3_VL, TINY, expected, relative_error, run, weights_of
from tests.implementations.wrong_towers import WRONG_TOWERS, WRONG_TOWERS_OF_QWEN3

BUDGET = 1e-5
"""Relative L2 error in fp32 that a reassociated sum may have."""


@pytest.mark.parametrize("mistake", WRONG_TOWERS)
def test_a_mistake_stands_far_above_the_budget_of_an_honest_tower(mistake: str) -> None:
    config = TINY[1]
    wrong = WRONG_TOWERS[mistake](config, weights_of(config))
    assert relative_error(run(wrong, config, MIXED), expected(config, MIXED)) > 20 * BUDGET


@pytest.mark.parametrize("mistake", WRONG_TOWERS_OF_QWEN3)
def test_a_mistake_of_qwen3_stands_above_it_as_well(mistake: str) -> None:
    wrong = WRONG_TOWERS_OF_QWEN3[mistake](QWEN3_VL, weights_of(QWEN3_VL))
    assert relative_error(run(wrong, QWEN3_VL, MIXED), expected(QWEN3_VL, MIXED)) > 20 * BUDGET
