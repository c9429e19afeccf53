"""The MLP of a block: two linears, as in Qwen2-VL, or gated, as in Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import VisionConfig
from ..weights import SharedTensors
from .seam import Exactness, FlagSet, Seam, with_gated_mlp


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
    """fc2(act(fc1(x)))."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.act = activation(config)
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N, C]."""
        return self.fc2(self.act(self.fc1(x)))


gated_mlp: Seam[type[nn.Module]] = Seam("mlp")


@gated_mlp.naive
class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)), gate and up as two products."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.act = activation(config)
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

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
class FusedGatedMLP(GatedMLP):
    """The loaded weights are the halves of the joined ones, so that both see what is written into either in place."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.joined: tuple[Tensor, Tensor] | None = None

    def derive(self, shared: SharedTensors) -> None:
        """Take the joined weights from `shared`, so that towers with the same weights have them once."""
        gate, up = self.gate_proj, self.up_proj
        with torch.inference_mode(False), torch.no_grad():
            self.joined = (shared.joined(gate.weight, up.weight), shared.joined(gate.bias, up.bias))
            for part, whole in zip(self._parts(), self.joined, strict=True):
                for loaded, half in zip(part, whole.chunk(2), strict=True):
                    loaded.data = half

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N, C]."""
        if not self._is_current():
            self.derive(SharedTensors())
        assert self.joined is not None
        gate, up = F.linear(x, *self.joined).chunk(2, dim=-1)
        return self.down_proj(self.act(gate) * up)

    def _parts(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The loaded weights and biases, of gate and up."""
        gate, up = self.gate_proj, self.up_proj
        return (gate.weight, up.weight), (gate.bias, up.bias)

    def _is_current(self) -> bool:
        """Do the loaded weights lie in the joined ones? Not before the first use, nor once others took their place."""
        if self.joined is None:
            return False
        starts = (whole.data_ptr() for whole in self.joined)  # 0 of tensors without memory
        return all(
            not start or (gate.data_ptr(), up.data_ptr()) == (start, start + gate.nbytes)
            for start, (gate, up) in zip(starts, self._parts(), strict=True)
        )

    def _apply(self, fn: Any, recurse: bool = True) -> FusedGatedMLP:
        self.joined = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def build_mlp(config: VisionConfig, flags: FlagSet) -> nn.Module:
    """The MLP of a block, by the model and the flags."""
    match config.mlp:
        case "two_linears":
            return TwoLinearMLP(config)
        case "gated":
            return gated_mlp.way(flags)(config)
        case _:
            assert_never(config.mlp)
