"""The MLP of a block: two linears, as in Qwen2-VL, or gated, as in Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import VisionConfig
from .seam import Exactness, FlagSet, Seam, with_gated_mlp, with_uneven_mlp
from .wide import Whole, WideLinear, Widened


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), a GELU of OpenAI's CLIP."""
    return x * torch.sigmoid(1.702 * x)


def activation(config: VisionConfig) -> Callable[[Tensor], Tensor]:
    """The function between the products of an MLP."""
    match config.activation:
        case "quick_gelu":
            return quick_gelu
        case "gelu_tanh":
            return partial(F.gelu, approximate="tanh")
        case "silu":
            return F.silu
        case _:
            assert_never(config.activation)


class TwoLinearMLP(nn.Module):
    """fc2(act(fc1(x))), by the names that the family has for the two."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.act = activation(config)
        self.first, self.second = config.mlp_linears
        self.add_module(self.first, nn.Linear(config.hidden_size, config.intermediate_size))
        self.add_module(self.second, nn.Linear(config.intermediate_size, config.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N, C]."""
        fc1: Any = getattr(self, self.first)
        fc2: Any = getattr(self, self.second)
        y: Tensor = fc2(self.act(fc1(x)))
        return y


mlp_width: Seam[Callable[[int], int]] = Seam("mlp width")


@mlp_width.naive
def as_released(size: int) -> int:
    """The model's own width: 3420 in Qwen2.5-VL up to 7B."""
    return size


@mlp_width.optimization(
    "mlp-pad",
    removes="products on operands that no 16 bytes divide: the gated MLP is filled up with zeros, 3420 wide to 3424",
    exactness=Exactness.REASSOCIATED,
    source="SGLang's Qwen2.5-VL tower",
    applies=(with_gated_mlp, with_uneven_mlp),
    pairs=("fused-gate-up",),
)
def multiple_of_8(size: int) -> int:
    """The next multiple of 8: 16 bytes of bfloat16. What is added is act(0) * 0 times zeros, and on disk it is not."""
    return -(-size // 8) * 8


def _linear(inputs: int, outputs: int, room: tuple[int, int]) -> nn.Linear:
    return nn.Linear(inputs, outputs) if room == (outputs, inputs) else WideLinear(inputs, outputs, room)


gated_mlp: Seam[type[GatedMLP]] = Seam("mlp")


@gated_mlp.naive
class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)), gate and up as two products; computed `width` wide, by default as it is loaded."""

    def __init__(self, config: VisionConfig, width: int | None = None) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        self.width = width or inner
        self.act = activation(config)
        self.gate_proj = _linear(size, inner, (self.width, size))
        self.up_proj = _linear(size, inner, (self.width, size))
        self.down_proj = _linear(inner, size, (size, self.width))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N, C]."""
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


@gated_mlp.optimization(
    "fused-gate-up",
    removes="one of three products per MLP: gate and up become one, of weights joined once and not kept twice",
    exactness=Exactness.REASSOCIATED,
    source="vLLM, SGLang and TensorRT-LLM merged gate_up_proj",
    applies=(with_gated_mlp,),
)
class FusedGatedMLP(Widened, GatedMLP):
    """The loaded weights are views of the joined ones, so that both see what is written into either in place."""

    def __init__(self, config: VisionConfig, width: int | None = None) -> None:
        super().__init__(config, width)
        size, inner = config.hidden_size, config.intermediate_size
        self.gate_proj, self.up_proj = nn.Linear(size, inner), nn.Linear(size, inner)
        self.joined = Whole(self.width, size), Whole(self.width)

    def wholes(self) -> list[tuple[Whole, tuple[Tensor, ...]]]:
        """Of the weights of gate and up, and of their biases."""
        gate, up = self.gate_proj, self.up_proj
        weight, bias = self.joined
        return [(weight, (gate.weight, up.weight)), (bias, (gate.bias, up.bias))]

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N, C]."""
        gate, up = F.linear(x, *self.tensors()).chunk(2, dim=-1)
        return self.down_proj(self.act(gate) * up)


def build_mlp(config: VisionConfig, flags: FlagSet) -> nn.Module:
    """The MLP of a block, by the model and the flags."""
    match config.mlp:
        case "two_linears":
            return TwoLinearMLP(config)
        case "gated":
            return gated_mlp.way(flags)(config, mlp_width.way(flags)(config.intermediate_size))
        case _:
            assert_never(config.mlp)
