"""Attention and RMS norm as CUDA runs them: one operation, whatever torch's C++ would do with them on this build.

Both are composite, and on a build without CUDA they would fall apart into matrix products. Which attention backend
CUDA would choose is told by `backends`.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlbench.counting_device.backends import Call, backend
from vlbench.counting_device.evaluate import PLAIN, host_of, is_ghost, mapped, tensors_in
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import (
    Operation,
    counting,
    handles,
    host_operation,
    in_pieces,
    require_one_device,
    to_device,
)
from vlbench.counting_device.operations import ATTENTION
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.record.sequence import Kind

_aten = torch.ops.aten
_DEFAULTS = {"query": None, "key": None, "value": None, "attn_mask": None, "dropout_p": 0.0, "is_causal": False}
"""The positional arguments of attention, in order."""
_OPERATION = {backend: name for name, backend in ATTENTION.items() if "scaled_dot_product" in name}


@handles("aten::scaled_dot_product_attention")
def attention(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """F.scaled_dot_product_attention on [batch, heads, tokens, head_dim]; the result has CUDA's memory layout."""
    given = _DEFAULTS | dict(zip(_DEFAULTS, args, strict=False)) | kwargs
    query, key, value, mask, dropout, causal = (given[name] for name in _DEFAULTS)
    call = Call(query, key, value, mask, dropout, causal, bool(given.get("enable_gqa", False)))
    operands = tensors_in(args, kwargs)
    if not any(isinstance(tensor, DeviceTensor) for tensor in operands):
        return host_operation(scope, func, args, kwargs)
    require_one_device(scope, facts(func), operands, args, kwargs)
    chosen = backend(scope.profile, call)
    if chosen == "math":
        scope.tell(Kind.HOST, facts(func).name, call[:3], attention=chosen)
        return _math(given)
    bias = None if mask is None else _prepared(mask, query.dtype, padded=chosen == "efficient")
    new_plan = chosen == "cudnn" and scope.is_new_plan(_plan_key(call, bias))
    padding = -query.size(-1) % 8 if chosen == "flash" else 0
    if padding:  # flash wants multiples of 8: q, k and v are padded and the result is cut (pad_last_dim)
        for tensor in (query, key, value):
            with counting():
                F.pad(tensor, (0, padding))
    result = _fused(scope, chosen, call, given, padding)
    scope.operation(_OPERATION[chosen], call[:3], (result,), attention=chosen, new_plan=new_plan)
    return to_device(scope, result)


def _fused(scope: Scope, chosen: str, call: Call, given: dict[str, Any], padding: int) -> Tensor:
    query: Any = call.query
    batch, heads, tokens, _ = query.shape
    width = call.value.size(-1)
    if chosen == "cudnn":
        result = _laid_out_as(query.host, (batch, heads, tokens, width))
    else:  # the other kernels write [batch, tokens, heads, head_dim]
        shape = (batch, tokens, heads, width + padding)
        wide = torch.empty(shape, dtype=query.dtype, device=query.host.device)
        result = wide[..., :width].transpose(1, 2)
    if not is_ghost(scope, query):
        host: dict[str, Any] = mapped(given, host_of)
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):  # all that a CPU has, as it would choose
            result.copy_(F.scaled_dot_product_attention(**host))
    return result


def _laid_out_as(query: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Memory in the order of the query's strides (cudnn/MHA.cpp, alloc_with_matching_layout)."""
    if query.shape == shape:
        return torch.empty_like(query)
    strides = query.stride()
    outwards = sorted(range(len(shape)), key=lambda dim: -strides[dim])
    made = torch.empty([shape[dim] for dim in outwards], dtype=query.dtype, device=query.device)
    return made.permute([outwards.index(dim) for dim in range(len(shape))])


def _plan_key(call: Call, bias: Any) -> Hashable:
    """What tells cuDNN's plans apart (cudnn/MHA.cpp, MHAParams): not the scale, but whether a backward may follow."""
    query, key, value, _, dropout, causal, _ = call
    batch, _, tokens, _ = query.shape
    if bias is not None:  # every item of the batch gets it
        heads = bias.size(1) if bias.dim() == 4 else 1
        bias = bias.host.expand(batch, heads, tokens, key.size(2))
    operands = tuple(each if each is None else (each.shape, each.stride()) for each in (query, key, value, bias))
    return query.dtype, operands, dropout, causal, call.learns


def _prepared(mask: DeviceTensor, dtype: torch.dtype, *, padded: bool) -> Tensor:
    """What a kernel adds, and what it costs to make (attention.cpp, convert_boolean_attn_mask, pad_bias)."""
    with counting():
        bias: Tensor = mask
        if mask.dtype is torch.bool:
            bias = torch.where(mask, 0.0, torch.full((), -torch.inf, dtype=dtype, device=mask.device))
        if padded and (any(stride % 8 for stride in bias.stride()[:-1]) or bias.stride(-1) != 1):
            F.pad(bias, (0, 8 - bias.size(-1) % 8))
    return bias


def _math(given: dict[str, Any]) -> Any:
    """The math backend is matrix products and a softmax, on CUDA too: each of them counts."""
    positional = [given[name] for name in _DEFAULTS]
    with counting():
        return _aten._scaled_dot_product_attention_math(
            *positional, None, scale=given.get("scale"), enable_gqa=bool(given.get("enable_gqa", False))
        )[0]


def varlen_by_segment(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    *more: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """Torch's varlen attention without its kernel: q, k, v [N, heads, head_dim] to the same, a call for each segment.

    The sums of the softmax are not worked out, which NaN says. NotImplementedError where more is asked for: a mask, a
    scale, grouped heads, other bounds for keys, a cache.
    """
    from vlbench.implementations.optimized.varlen import varlen_attention

    others = cu_seq_k is not None and not torch.equal(cu_seq_q, cu_seq_k)
    if others or any(isinstance(each, Tensor) or each not in (None, False, [-1, -1]) for each in more):
        raise NotImplementedError
    sums = query.new_full((query.size(1), query.size(0)), torch.nan, dtype=torch.float32)
    return varlen_attention(query, key, value, cu_seq_q, max_q), sums, torch.zeros(2, dtype=torch.uint64)


PLAIN["torch_attn::_varlen_attn"] = varlen_by_segment


@handles("aten::rms_norm")
def rms_norm(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """F.rms_norm: one fused kernel on CUDA where input and weight agree in dtype, else its pieces.

    Source: aten/src/ATen/native/layer_norm.cpp, rms_norm_symint, and cuda/layer_norm_kernel.cu, _fused_rms_norm.
    """
    operands = tensors_in(args, kwargs)
    if not any(isinstance(tensor, DeviceTensor) for tensor in operands):
        return host_operation(scope, func, args, kwargs)
    require_one_device(scope, facts(func), operands, args, kwargs)
    source = args[0]
    if len({tensor.dtype for tensor in operands}) > 1:
        return in_pieces(func, args, kwargs)
    if is_ghost(scope, source):
        result = torch.empty_like(source.host, memory_format=torch.contiguous_format)
    else:
        result = func(*mapped(args, host_of), **kwargs)
    scope.operation("aten::_fused_rms_norm", operands, (result,))
    return to_device(scope, result)


@contextmanager
def whole_on_cuda() -> Iterator[None]:
    """Deliver the two operations whole to their handlers, also where autograd would take them to pieces first."""
    with torch.library._scoped_library("aten", "IMPL") as library:
        for func in (_aten.scaled_dot_product_attention.default, _aten.rms_norm.default):

            def deliver(*args: Any, _func: Operation = func, **kwargs: Any) -> Any:
                with torch._C._AutoDispatchBelowAutograd():  # modes above the device's own see it as well
                    return _func(*args, **kwargs)

            library.impl(func, deliver, "AutogradCUDA")
        yield
