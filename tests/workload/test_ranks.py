"""Calls over ranks, by hand."""

from __future__ import annotations

import pytest

from vlbench.implementations.config import MODELS
from vlbench.implementations.parallel.balance import item_cost
from vlbench.workload.ranks import WAYS, OverRanks

CONFIG = MODELS["qwen2.5-vl-7b"]
IMAGE = (1, 32, 32)


def test_two_images_of_one_size_over_two_ranks_and_one_over_two() -> None:
    over = OverRanks(CONFIG, 2)
    over([IMAGE, IMAGE])
    for way in WAYS[:3]:
        found = over.found[way]
        assert (found.balance, found.idle_share, found.speed_up, found.empty_share) == (1, 0, 2, 0)
        assert (found.collectives_per_call, found.received_per_call) == (1, 256 * 3584 * 2)
    over([IMAGE])
    found = over.found["dp"]
    assert found.work == 3 * item_cost(CONFIG, IMAGE)
    assert (found.speed_up, found.balance, found.idle_share, found.empty_share) == (1.5, 2 / 1.5, 0.25, 0.25)


def test_in_turn_two_large_ones_meet() -> None:
    over = OverRanks(CONFIG, 2)
    over([IMAGE, (1, 4, 4), IMAGE, (1, 4, 4)])
    assert over.found["dp"].balance == 1
    assert over.found["dp in turn"].balance == pytest.approx(2, rel=0.05)


def test_a_split_tower_waits_for_nobody_and_embeds_twice() -> None:
    over = OverRanks(CONFIG, 2)
    over([IMAGE])
    split = over.found["tp"]
    assert split.idle_share == pytest.approx(2 * 1024 * 1176 * 1280 / 2 / float(split.busiest), rel=1e-9)
    assert split.empty_share == 0
    assert split.collectives_per_call == 65


def test_what_cannot_be_split_has_no_figures_and_a_reason() -> None:
    over = OverRanks(CONFIG, 3)
    over([IMAGE])
    split = over.found["tp"]
    assert (split.speed_up, split.balance, split.idle_share, split.received_per_call) == (None,) * 4
    assert split.failed == "16 heads make no 3 equal parts"
    assert over.found["dp"].empty_share == pytest.approx(2 / 3)
