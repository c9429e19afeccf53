"""Towers small enough for tests, their inputs and the reference tower's answers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from tests.implementations.grids import Batch
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.output import VisionOutput, unpack
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.implementations.weights import SharedTensors, random_weights
from vlbench.record.precision import tf32_turned_off

QWEN3_VL, QWEN3_5 = MODELS["qwen3-vl-tiny"], MODELS["qwen3.5-tiny"]
"""With deepstack, and without."""
TINY = (MODELS["qwen2-vl-tiny"], MODELS["qwen2.5-vl-tiny"], QWEN3_VL, QWEN3_5)

# One head of the real head_dim and patches of 2x2 pixels: a forward takes a few milliseconds.
_SMALL_PATCHES = Preprocessing(patch_size=2)
_SMALLER: dict[str, Any] = {"hidden_size": 80, "num_heads": 1, "out_hidden_size": 32, "preprocessing": _SMALL_PATCHES}
NARROW_2 = replace(TINY[0], name="qwen2-vl-narrow", depth=2, intermediate_size=320, **_SMALLER)
NARROW_2_5 = replace(
    TINY[1],
    name="qwen2.5-vl-narrow",
    depth=3,
    intermediate_size=212,
    fullatt_block_indexes=(1,),
    window_size=16,
    **_SMALLER,
)
NARROW_3 = replace(
    QWEN3_VL,
    name="qwen3-vl-narrow",
    depth=2,
    intermediate_size=268,
    **{**_SMALLER, "hidden_size": 72},
    position_table=6 * 6,
    deepstack_blocks=(0, 1),
)
NARROW_3_5 = replace(NARROW_3, name="qwen3.5-narrow", family="qwen3_5", hidden_size=64, deepstack_blocks=())
NARROW = (NARROW_2, NARROW_2_5, NARROW_3, NARROW_3_5)


def name_of(value: VisionConfig | str | tuple[str, ...]) -> str:
    """For test ids: of a model, of a flag, of several flags."""
    if isinstance(value, VisionConfig):
        return value.name
    return value if isinstance(value, str) else "+".join(value)


@cache
def weights_of(config: VisionConfig, dtype: torch.dtype = torch.float32, device: str = "cpu") -> SharedTensors:
    with torch.inference_mode(False):  # they are kept, and others may be called with gradients
        drawn = random_weights(config, dtype=dtype)
        return SharedTensors({key: tensor.to(device) for key, tensor in drawn.items()})


@cache
def reference_tower(config: VisionConfig, dtype: torch.dtype = torch.float32, device: str = "cpu") -> nn.Module:
    return build_tower(config, None, weights_of(config, dtype, device))


@cache
def pixels_of(config: VisionConfig, batch: Batch) -> Tensor:
    """Random pixels [N, patch_dim], the same in every run."""
    patches = sum(t * h * w for t, h, w in batch)
    return torch.randn(patches, config.patch_dim, generator=torch.Generator().manual_seed(patches))


def run(tower: nn.Module, config: VisionConfig, batch: Batch) -> Tensor:
    """The tower's tokens for a batch, in the dtype and on the device of its weights.

    With deepstack, tokens and features one after the other, [1 + levels, tokens, width].
    """
    with torch.no_grad(), tf32_turned_off():  # torch has it on for convolutions on a GPU
        return joined(tower(pixels_of(config, batch).to(next(tower.parameters())), torch.tensor(batch)))


def joined(returned: Tensor | VisionOutput) -> Tensor:
    """What a tower returned, as one tensor on the host."""
    parts = list(unpack(returned).values())
    return (parts[0] if len(parts) == 1 else torch.stack(parts)).cpu()


@cache
def expected(config: VisionConfig, batch: Batch, device: str = "cpu") -> Tensor:
    """The reference tower's tokens in fp32."""
    return run(reference_tower(config, device=device), config, batch)


def relative_error(result: Tensor, reference: Tensor) -> float:
    """Relative L2 error; with deepstack, that of the worst part."""
    if result.ndim == reference.ndim == 3:
        return max(map(relative_error, result, reference))
    difference = (result.double() - reference.double()).norm()
    return float(difference / reference.double().norm())
