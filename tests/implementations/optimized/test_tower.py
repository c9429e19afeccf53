from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.implementations.grids import AWKWARD, MIXED, Batch
from tests.implementations.optimized.plans import new_tower
from tests.implementations.towers import NARROW_2_5, TINY, joined, name_of, pixels_of, reference_tower, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OptimizedVisionTower

families = pytest.mark.parametrize("config", TINY, ids=name_of)
CACHES = ("rope-cache", "window-cache")


class Operations(TorchDispatchMode):
    """Every aten operation, with shape, dtype and strides of the tensors that go in and come out."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        self.log.append(f"{func} {[(tuple(tensor.shape), tensor.dtype, tensor.stride()) for tensor in tensors]}")
        return result


def traced(tower: nn.Module, pixels: Tensor, batch: Batch) -> tuple[Tensor, list[str]]:
    with Operations() as operations:
        returned = tower(pixels, torch.tensor(batch))
    return joined(returned), operations.log


@families
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch", [AWKWARD[0], AWKWARD[2], AWKWARD[4], AWKWARD[6], MIXED], ids=str)
def test_without_flags_it_does_operation_for_operation_what_the_reference_tower_does(
    config: VisionConfig, mode: Callable[[], AbstractContextManager[None]], batch: Batch
) -> None:
    pixels = pixels_of(config, batch)
    with mode():
        expected_tokens, expected_operations = traced(reference_tower(config), pixels, batch)
        tokens, operations = traced(build_tower(config, (), weights_of(config)), pixels, batch)
    assert operations == expected_operations
    assert len(operations) > 50 * config.depth
    assert torch.equal(tokens, expected_tokens)


def cached_tower() -> OptimizedVisionTower:
    return new_tower(NARROW_2_5, *CACHES)


def test_the_caches_are_those_of_the_flags() -> None:
    assert new_tower(NARROW_2_5).caches() == {}
    assert cached_tower().caches().keys() == {"rope", "windows"}


def test_hits_and_misses_are_counted_by_grid() -> None:
    tower = cached_tower()
    run(tower, NARROW_2_5, ((1, 4, 4), (1, 6, 4), (1, 4, 4)))
    run(tower, NARROW_2_5, ((1, 6, 4), (2, 4, 4)))
    for cache in tower.caches().values():
        assert (cache.hits, cache.misses, len(cache)) == (2, 3, 3)


@pytest.mark.parametrize(
    "move", [lambda tower: tower.to("cpu"), lambda tower: tower.double(), lambda tower: tower.cpu()]
)
def test_a_move_empties_the_caches(move: Callable[[nn.Module], nn.Module]) -> None:
    tower = cached_tower()
    run(tower, NARROW_2_5, MIXED)
    assert all(cache.bytes > 0 for cache in tower.caches().values())
    assert move(tower) is tower
    assert [(len(cache), cache.bytes) for cache in tower.caches().values()] == [(0, 0), (0, 0)]


def test_two_towers_do_not_share_caches() -> None:
    first, second = cached_tower(), cached_tower()
    run(first, NARROW_2_5, MIXED)
    assert all(len(cache) == 0 for cache in second.caches().values())


def test_caches_die_with_their_tower() -> None:
    tower = cached_tower()
    run(tower, NARROW_2_5, ((1, 4, 4),))
    watched = [weakref.ref(cache) for cache in tower.caches().values()]
    watched.append(weakref.ref(tower.caches()["rope"]._entries[(1, 4, 4)][0].cos))
    del tower
    gc.collect()
    assert [watcher() for watcher in watched] == [None, None, None]


def test_the_rope_stays_in_fp32_through_casts() -> None:
    for flags in ((), ("rope-table",), ("rope-cache",)):
        tower = new_tower(NARROW_2_5, *flags)
        before = {name: buffer.clone() for name, buffer in tower.named_buffers()}
        assert before
        for cast in (torch.bfloat16, torch.float16):
            tower.to(cast)
            assert {parameter.dtype for parameter in tower.parameters()} == {cast}
            for name, buffer in tower.named_buffers():
                assert buffer.dtype == torch.float32
                assert torch.equal(buffer, before[name])
