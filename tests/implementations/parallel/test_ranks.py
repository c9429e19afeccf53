"""Towers on two and three ranks over gloo against one process; and what the others say when a rank is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.implementations.parallel.on_ranks import BATCHES, MIXED, MODELS_RUN
from vlbench.implementations.config import MODELS
from vlbench.implementations.parallel.tensor import summed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every rank kept."""
    made = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.implementations.parallel.on_ranks", str(made)]
    subprocess.run(command, check=True, timeout=300)
    return made


def kept(folder: Path, work: str, ranks: int) -> list[dict[Any, Any]]:
    return [torch.load(folder / f"{work} {rank}.pt", weights_only=False) for rank in range(ranks)]


def off_by(parts: dict[str, Tensor], whole: dict[str, Tensor]) -> float:
    assert parts.keys() == whole.keys()
    assert all(part.shape == whole[name].shape and part.is_contiguous() for name, part in parts.items())
    return max(float((part - whole[name]).norm() / whole[name].norm()) for name, part in parts.items())


@pytest.mark.parametrize("ranks", [2, 3])
def test_all_ranks_get_what_one_process_gives(folder: Path, ranks: int) -> None:
    """To the bit where a rank's images are encoded together alone, too; within rounding of the whole batch at once."""
    for found in kept(folder, f"dp {ranks}", ranks):
        assert found.keys() == {(model, name) for model in MODELS_RUN for name in BATCHES}
        for each in found.values():
            assert torch.equal(torch.cat([*each["parts"].values()], 1), each["by share"])
            assert off_by(each["parts"], each["whole"]) <= 1e-6


def test_the_shares_are_those_that_were_meant(folder: Path) -> None:
    """A video among images, one image larger than all others, and ranks without an item."""
    found = kept(folder, "dp 3", 3)[0]
    assert found["qwen2-vl-tiny", "one large"]["shares"][0] == (1,)
    assert found["qwen2-vl-tiny", "few"]["shares"] == ((0,), (1,), ())
    assert found["qwen2-vl-tiny", "one"]["shares"] == ((0,), (), ())
    assert all(found["qwen2-vl-tiny", "mixed"]["shares"])


def test_a_tower_split_over_two_ranks_sums_as_often_and_as_much_as_is_counted(folder: Path) -> None:
    patches = sum(t * h * w for t, h, w in MIXED)
    for found in kept(folder, "tp 2", 2):
        for model, each in found.items():
            counted = summed(MODELS[model], patches, 2, element=4)
            assert (len(each["sums"]), 4 * sum(each["sums"])) == (counted.collectives, counted.received)
            assert off_by(each["parts"], each["whole"]) <= 1e-5


def test_where_a_rank_dies_the_others_say_so(folder: Path) -> None:
    for rank, found in enumerate(kept(folder, "dies", 2)):
        start = f"rank {rank} of 3: another rank did not take part in the gather (Connection closed by peer"
        assert found["said"].startswith(start)
        assert "\n" not in found["said"]


def test_a_rank_that_does_not_come_is_named(folder: Path) -> None:
    for rank, found in enumerate(kept(folder, "hangs", 2)):
        assert found["said"] == f"rank {rank} of 3: rank 2 did not come to the start in 0.5 s"


def test_a_rank_with_another_batch_is_named(folder: Path) -> None:
    first, second, third = (found["said"] for found in kept(folder, "differs", 3))
    assert first == "rank 0 of 3: rank 2 came to the batch with something else than this one"
    assert second == first.replace("0", "1", 1)
    assert third == "rank 2 of 3: ranks 0, 1 came to the batch with something else than this one"
