"""`fused-residual-norm`: a sum and its norm at once."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ...config import VisionConfig
from ...operators import operator
from ..merger import EPS, rms_norm
from ..residual import Apart, residual_norm
from ..seam import Exactness
from ..traffic import Traffic
from .launch import ON_A_CPU, ON_A_GPU, block, launch

FLAG = "fused-residual-norm"


def normalise_plainly(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """In plain torch: LayerNorm with a bias, RMSNorm without."""
    return rms_norm(x, weight, eps) if bias is None else F.layer_norm(x, weight.shape, weight, bias, eps)


def add_and_normalise_plainly(
    x: Tensor, more: Tensor, weight: Tensor, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """In plain torch."""
    total = x + more
    return total, normalise_plainly(total, weight, bias, eps)


def normalise_on_gpu(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """One program a row."""
    return _on_gpu(x, None, weight, bias, eps)[1]


def add_and_normalise_on_gpu(
    x: Tensor, more: Tensor, weight: Tensor, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """One program a row."""
    return _on_gpu(x, more, weight, bias, eps)


def _on_gpu(x: Tensor, more: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    out, width = x.new_empty(x.shape), x.shape[-1]
    total = out if more is None else x.new_empty(x.shape)
    second = x if more is None else more.contiguous()  # this and the next are not read where they are not there
    shift = weight if bias is None else bias
    kinds = {"adds": more is not None, "centred": bias is not None, "block_width": block(width)}
    rows = x.numel() // width
    launch("norms.normalise", FLAG, rows, x, second, weight, shift, total, out, width, eps, **kinds)
    return total, out


_normalise = operator(
    "normalise(Tensor x, Tensor weight, Tensor? bias, float eps) -> Tensor",
    plain=normalise_plainly,
    gpu=normalise_on_gpu,
    fake=lambda x, weight, bias, eps: x.new_empty(x.shape),
)
_add_and_normalise = operator(
    "add_and_normalise(Tensor x, Tensor more, Tensor weight, Tensor? bias, float eps) -> (Tensor, Tensor)",
    plain=add_and_normalise_plainly,
    gpu=add_and_normalise_on_gpu,
    fake=lambda x, more, weight, bias, eps: (x.new_empty(x.shape), x.new_empty(x.shape)),
)


def traffic(config: VisionConfig, patches: int, element: int) -> Traffic:
    """Two are read and two written, of the size of the hidden states; the weights come anew for every row, from the
    cache."""
    rows, row = 4 * patches, config.hidden_size * element
    weights = 2 if config.norm == "layer_norm" else 1
    return Traffic((rows + weights * patches) * row, (rows + weights) * row)


@residual_norm.optimization(
    FLAG,
    removes=f"the operations of a block's two norms, and the sums before them, but one kernel each; {ON_A_CPU}",
    exactness=Exactness.REASSOCIATED,
    source="vLLM's Qwen2.5-VL, SGLang, TensorRT-LLM #11943",
    traffic=traffic,
    note=ON_A_GPU,
)
class Together(Apart):
    """The sum after an MLP comes with the norm of the next block; that after the last stays by itself."""

    def __init__(self, norm: nn.Module, after: nn.Module) -> None:
        super().__init__(norm, after)
        self.norm = partial(_in_one_kernel, norm)

    def add(self, x: Tensor, more: Tensor) -> tuple[Tensor, Tensor | None]:
        """One kernel for the sum and its norm."""
        return _together(x, more, self.after)

    def end(self, x: Tensor, more: Tensor) -> tuple[Tensor, Tensor | None]:
        """One kernel for both, but at the end of the last block."""
        return super().end(x, more) if self.following is None else _together(x, more, self.following)


def _in_one_kernel(norm: nn.Module, x: Tensor) -> Tensor:
    return _normalise(x, *_parameters(norm))


def _together(x: Tensor, more: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    total, normed = _add_and_normalise(x, more, *_parameters(norm))
    return total, normed


def _parameters(norm: nn.Module) -> tuple[Tensor, Tensor | None, float]:
    """Weight, bias and epsilon of a LayerNorm or RMSNorm."""
    weight, bias = norm.get_parameter("weight"), dict(norm.named_parameters()).get("bias")
    return weight, bias, float(getattr(norm, "eps", EPS))
