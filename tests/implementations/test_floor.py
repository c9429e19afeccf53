"""The floor is a tower's products and attention; the row that times it does each once, and nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tests.implementations.towers import NARROW, name_of, reference_tower, weights_of
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.floor import Call, Product, tower_work
from vlbench.implementations.floor_tower import build_floor
from vlbench.implementations.output import unpack
from vlbench.implementations.preprocessing import Grid

GRIDS = [(1, 8, 16), (2, 8, 16)]
MIXED = [(1, 8, 16), (2, 8, 8), (1, 4, 12)]
families = pytest.mark.parametrize("config", NARROW, ids=name_of)


class Operations(TorchDispatchMode):
    """Names of all operations that are no views."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if not func.is_view:
            self.names.append(func.overloadpacket.__name__)
        return func(*args, **kwargs or {})


def pixels_of(config: VisionConfig, grids: Sequence[Grid] = GRIDS) -> torch.Tensor:
    patches = sum(t * h * w for t, h, w in grids)
    return torch.randn(patches, config.patch_dim, generator=torch.Generator().manual_seed(0))


@families
@torch.no_grad()
def test_nothing_is_done_but_products_and_one_attention_call_a_block(config: VisionConfig) -> None:
    tower, pixels = build_floor(config, weights_of(config)), pixels_of(config)
    with Operations() as seen:
        parts = unpack(tower(pixels, torch.tensor(GRIDS)))
    work = tower_work(config, GRIDS)
    products = sum(each.times for each in work if isinstance(each, Product))
    calls = sum(each.times for each in work if isinstance(each, Call))
    assert sum("attention" in name for name in seen.names) == calls == config.depth
    assert sum(name in ("addmm", "mm") for name in seen.names) == products
    assert len(seen.names) == products + calls
    assert all(part.shape == (len(pixels) // 4, config.out_hidden_size) for part in parts.values())
    assert all(part.isfinite().all() for part in parts.values())
    assert len(parts) == 1 + len(config.deepstack_blocks)


@families
@torch.no_grad()
def test_its_flops_are_those_that_torch_counts(config: VisionConfig) -> None:
    tower, pixels = build_floor(config, weights_of(config)), pixels_of(config)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it knows no CPU's flash attention
        tower(pixels, torch.tensor(GRIDS))
    assert counter.get_total_flops() == sum(each.flops for each in tower_work(config, GRIDS))


@families
@torch.no_grad()
def test_the_attention_of_mixed_grids_is_what_torch_counts_of_a_tower(config: VisionConfig) -> None:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        reference_tower(config)(pixels_of(config, MIXED), torch.tensor(MIXED))
    calls = [each for each in tower_work(config, MIXED) if isinstance(each, Call)]
    assert counter.get_flop_counts()["Global"][torch.ops.aten.bmm] == sum(each.flops for each in calls)


def test_each_length_is_a_call_of_its_own() -> None:
    calls = [each for each in tower_work(MODELS["qwen2-vl-7b"], [(1, 64, 64), (2, 32, 64)]) if isinstance(each, Call)]
    assert [(each.batch, each.length, each.times) for each in calls] == [(1, 4096, 32), (2, 2048, 32)]
