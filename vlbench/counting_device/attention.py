"""Attention and RMS norm as CUDA runs them: one operation, whatever torch's C++ would do with them on this build.

Both are composite, and on a build without CUDA they would fall apart into matrix products. Which attention backend
CUDA would choose follows from dtype, shape, mask and profile (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlbench.counting_device.evaluate import host_of, is_ghost, mapped, tensors_in
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import (
    Operation,
    counting,
    handles,
    in_pieces,
    interpret,
    require_one_device,
    to_device,
)
from vlbench.counting_device.operations import ATTENTION
from vlbench.counting_device.scope import Scope, current
from vlbench.counting_device.tensor import DeviceTensor

_aten = torch.ops.aten
_HALF = (torch.float16, torch.bfloat16)
_DEFAULTS = {"query": None, "key": None, "value": None, "attn_mask": None, "dropout_p": 0.0, "is_causal": False}
"""The positional arguments of attention, in order."""
_OPERATION = {backend: name for name, backend in ATTENTION.items() if "scaled_dot_product" in name}


def backend(
    capability: tuple[int, int], query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, gqa: bool
) -> str:
    """`flash`, `efficient` or `math`: the first that CUDA allows for these operands. RuntimeError where none does."""
    allowed = torch.backends.cuda
    heads_match = (
        query.dim() == key.dim() == value.dim() == 4
        and query.size(0) == key.size(0) == value.size(0)
        and (gqa or query.size(1) == key.size(1) == value.size(1))
        and query.size(-1) == key.size(-1)
    )
    packed = all(tensor.stride(-1) == 1 and 0 not in tensor.shape for tensor in (query, key, value))
    half = query.dtype in _HALF
    if (
        allowed.flash_sdp_enabled()  # type: ignore[no-untyped-call]
        and capability >= (8, 0)
        and half
        and mask is None
        and heads_match
        and packed
        and query.size(-1) == value.size(-1) <= 256
    ):
        return "flash"
    width = 8 if half else 4  # elements that 16-byte tensor-core loads need
    if (
        allowed.mem_efficient_sdp_enabled()  # type: ignore[no-untyped-call]
        and (query.dtype in (torch.float32, torch.float16) or (query.dtype is torch.bfloat16 and capability >= (8, 0)))
        and heads_match
        and not gqa
        and packed
        and query.size(-1) % width == 0
        and value.size(-1) % width == 0
    ):
        return "efficient"
    if allowed.math_sdp_enabled():  # type: ignore[no-untyped-call]
        return "math"
    raise RuntimeError("No available kernel. Aborting execution.")


@handles("aten::scaled_dot_product_attention")
def attention(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """F.scaled_dot_product_attention on [batch, heads, tokens, head_dim]; the result has CUDA's memory layout."""
    given = _DEFAULTS | dict(zip(_DEFAULTS, args, strict=False)) | kwargs
    query, key, value, mask = (given[name] for name in ("query", "key", "value", "attn_mask"))
    operands = tensors_in(args, kwargs)
    if not any(isinstance(tensor, DeviceTensor) for tensor in operands):
        return func(*args, **kwargs)
    require_one_device(scope, facts(func), operands, args, kwargs)
    gqa = bool(given.get("enable_gqa", False))
    chosen = backend(scope.profile.capability, query, key, value, mask, gqa)
    if scope.counter is not None:
        scope.counter.attention_backends.add(chosen)
    if chosen == "math":
        return _math(scope, given)
    if mask is not None:
        _prepare_mask(mask, query.dtype)
    padding = -query.size(-1) % 8 if chosen == "flash" else 0
    if padding:  # flash wants multiples of 8: q, k and v are padded and the result is cut (pad_last_dim)
        for tensor in (query, key, value):
            with counting():
                F.pad(tensor, (0, padding))
    return _fused(scope, _OPERATION[chosen], given, padding)


def _fused(scope: Scope, name: str, given: dict[str, Any], padding: int) -> DeviceTensor:
    query, value = given["query"], given["value"]
    batch, heads, tokens, _ = query.shape
    width = value.size(-1)
    wide = torch.empty(batch, tokens, heads, width + padding, dtype=query.dtype, device=query.host.device)
    result = wide[..., :width].transpose(1, 2)  # CUDA's kernels write [batch, tokens, heads, head_dim]
    if not is_ghost(scope, query):
        host: dict[str, Any] = mapped(given, host_of)
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):  # all that a CPU has, as it would choose
            result.copy_(F.scaled_dot_product_attention(**host))
    scope.operation(name, (query, given["key"], value), attention=True)
    if scope.counter is not None:
        scope.counter.dtypes.add(str(query.dtype).removeprefix("torch."))
    return to_device(scope, result)


def _prepare_mask(mask: DeviceTensor, dtype: torch.dtype) -> None:
    """Count what the efficient kernel's mask costs beforehand (attention.cpp, convert_boolean_attn_mask, pad_bias)."""
    with counting():
        bias: Tensor = mask
        if mask.dtype is torch.bool:
            bias = torch.where(mask, 0.0, torch.full((), -torch.inf, dtype=dtype, device=mask.device))
        if any(stride % 8 for stride in bias.stride()[:-1]) or bias.stride(-1) != 1:
            F.pad(bias, (0, 8 - bias.size(-1) % 8))


def _math(scope: Scope, given: dict[str, Any]) -> Any:
    """The math backend is matrix products and a softmax, on CUDA too: each of them counts."""
    if scope.counter is not None:
        scope.counter.attention_as_pieces()
    positional = [given[name] for name in _DEFAULTS]
    with counting():
        return _aten._scaled_dot_product_attention_math(
            *positional, None, scale=given.get("scale"), enable_gqa=bool(given.get("enable_gqa", False))
        )[0]


@handles("aten::rms_norm")
def rms_norm(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """F.rms_norm: one fused kernel on CUDA where input and weight agree in dtype, else its pieces.

    Source: aten/src/ATen/native/layer_norm.cpp, rms_norm_symint, and cuda/layer_norm_kernel.cu, _fused_rms_norm.
    """
    operands = tensors_in(args, kwargs)
    if not any(isinstance(tensor, DeviceTensor) for tensor in operands):
        return func(*args, **kwargs)
    require_one_device(scope, facts(func), operands, args, kwargs)
    source = args[0]
    if len({tensor.dtype for tensor in operands}) > 1:
        return in_pieces(func, args, kwargs)
    if is_ghost(scope, source):
        result = torch.empty_like(source.host, memory_format=torch.contiguous_format)
    else:
        result = func(*mapped(args, host_of), **kwargs)
    scope.operation("aten::_fused_rms_norm", operands)
    return to_device(scope, result)


@contextmanager
def whole_on_cuda() -> Iterator[None]:
    """Deliver the two operations whole to their handlers, also where autograd would take them to pieces first."""
    with torch.library._scoped_library("aten", "IMPL") as library:
        for func in (_aten.scaled_dot_product_attention.default, _aten.rms_norm.default):

            def deliver(*args: Any, _func: Operation = func, **kwargs: Any) -> Any:
                return interpret(current(), _func, args, kwargs)

            library.impl(func, deliver, "AutogradCUDA")
        yield
