"""What CUDA does beyond launching kernels, operation by operation: data, with a source for each entry.

Paths in the sources are those of the pytorch repository. An operation that is not named here counts as one device
operation if it makes or changes device memory, and as none if it only looks at memory that is there (a view).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlbench.record.directions import words_of


@dataclass(frozen=True)
class Sync:
    """An operation that copies a value to the host and waits for it."""

    read_backs: int
    bytes: int
    """Bytes of each copy; 0 stands for one element of the operand that is read, of the last one if there are fewer."""
    source: str
    unless: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None
    """True for calls that need no value on the host."""
    sizes: tuple[int, ...] = ()
    """Bytes of each copy, where they differ."""
    device_operation: bool = True
    """Whether it also asks the device for work, beyond the copy."""


def _draws_many_again(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """multinomial with replacement and several draws takes a kernel of its own, which checks nothing on the host."""
    draws = args[1] if len(args) > 1 else kwargs["num_samples"]
    return bool((args[2] if len(args) > 2 else kwargs.get("replacement", False)) and draws > 1)


def _has_limits(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    low, high = args[2:4] if len(args) > 3 else (kwargs.get("min", 0), kwargs.get("max", 0))
    return low != high or _is_empty(args, kwargs)


def _is_unchecked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("unsafe")) or kwargs.get("lengths") is None


def _is_empty(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return not args[0].numel()


def _is_settled_by_shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    a, b = args
    same = a.block is b.block and a.storage_offset() == b.storage_offset() and a.stride() == b.stride()
    return bool(same or a.shape != b.shape or not a.numel())


def _is_sized(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return kwargs.get("output_size") is not None or _is_empty(args, kwargs)


_UNIQUE = "aten/src/ATen/native/cuda/UniqueCub.cu, compute_unique: length.item() sizes the output"
_NONZERO = "aten/src/ATen/native/cuda/Nonzero.cu: memcpy_and_sync of the count that sizes the output"

_FILL = "aten/src/ATen/native/TensorAdvancedIndexing.cpp: index_fill_ with source.item()"
_NORMAL = "aten/src/ATen/native/DistributionTemplates.h, CHECK_NORMAL_TENSOR_STD: std.min().ge(0).item(), twice"

SYNCS: dict[str, Sync] = {
    "aten::_local_scalar_dense": Sync(
        1, 0, "aten/src/ATen/native/cuda/CUDAScalar.cu: memcpy_and_sync of one element", device_operation=False
    ),
    "aten::nonzero": Sync(1, 8, _NONZERO),
    "aten::nonzero.out": Sync(1, 8, _NONZERO),
    "aten::masked_select": Sync(1, 8, "aten/src/ATen/native/cuda/IndexKernel.cpp: index by the mask, so one nonzero"),
    "aten::repeat_interleave.Tensor": Sync(
        2,
        8,
        "aten/src/ATen/native/Repeat.h, repeat_interleave_common: cumsum[-1].item() and (repeats >= 0).all().item()",
        unless=_is_sized,
        sizes=(8, 1),
    ),
    "aten::unique_consecutive": Sync(1, 8, _UNIQUE, _is_empty),
    "aten::_unique": Sync(1, 8, _UNIQUE, _is_empty),
    "aten::_unique2": Sync(1, 8, _UNIQUE, _is_empty),
    "aten::unique_dim": Sync(1, 8, _UNIQUE),
    "aten::unique_dim_consecutive": Sync(1, 8, _UNIQUE),
    "aten::bincount": Sync(
        2, 0, "aten/src/ATen/native/cuda/SummaryOps.cu: min().cpu() and max().item() of the input", _is_empty
    ),
    "aten::equal": Sync(
        1,
        1,
        "aten/src/ATen/native/cuda/Equal.cpp: at::eq(self, src).all().item(), not asked of a tensor and itself",
        unless=_is_settled_by_shape,
    ),
    "aten::_linalg_check_errors": Sync(
        1, 1, "aten/src/ATen/native/BatchLinearAlgebra.cpp: info.any() decides whether to raise"
    ),
    "aten::allclose": Sync(1, 1, "aten/src/ATen/native/TensorCompare.cpp: isclose(...).all().item()"),
    **{
        f"aten::{name}.{kinds}": Sync(read_backs, 0, "aten/src/ATen/native/RangeFactories.cpp: item() of each tensor")
        for name in ("linspace", "logspace")
        for kinds, read_backs in (("Tensor_Tensor", 2), ("Tensor_Scalar", 1), ("Scalar_Tensor", 1))
    },
    "aten::index_fill.int_Tensor": Sync(1, 0, _FILL),
    "aten::index_fill_.int_Tensor": Sync(1, 0, _FILL),
    "aten::normal.Tensor_Tensor": Sync(2, 1, _NORMAL),
    "aten::normal.float_Tensor": Sync(2, 1, _NORMAL),
    "aten::multinomial": Sync(
        2,
        1,
        "aten/src/ATen/native/Distributions.cpp: item() of whether all is finite and positive, and of an empty row",
        unless=_draws_many_again,
    ),
    "aten::histc": Sync(
        2,
        0,
        "aten/src/ATen/native/cuda/SummaryOps.cu: min().cpu() and max().cpu() where no limits are given",
        _has_limits,
    ),
    "aten::segment_reduce": Sync(
        2, 1, "aten/src/ATen/native/SegmentReduce.cpp: item() of two checks of the lengths", unless=_is_unchecked
    ),
    "aten::embedding_renorm_": Sync(
        1, 8, "aten/src/ATen/native/cuda/Embedding.cu: the number of unique indices sizes the launch"
    ),
}

BY_MASK = frozenset({"aten::index.Tensor"})
"""Need values only where an index is a boolean mask."""

MASK_SYNC = Sync(1, 8, "aten/src/ATen/native/IndexingUtils.h, expandTensors: one nonzero for each boolean mask")
MASKED_FILL_SYNC = Sync(
    1, 0, "aten/src/ATen/native/cuda/Indexing.cu, masked_fill__cuda(self, mask, value): value.item()"
)

ALLOCATIONS = words_of(
    "aten::empty.memory_format aten::empty_strided aten::empty_like aten::empty_permuted aten::new_empty "
    "aten::new_empty_strided aten::resize_ aten::set_.source_Tensor aten::set_.source_Storage "
    "aten::set_.source_Storage_storage_offset"
)
"""Memory without work. Source: aten/src/ATen/native/cuda/EmptyTensor.cpp, Resize.cpp."""

HOST_SCALARS = frozenset({"aten::where.self", "aten::where.self_out", "aten::fill_.Tensor", "aten::fill.Tensor"})
"""Take a 0-d host tensor beside device tensors although torch does not tag them as pointwise (TensorIterator does)."""

ATTENTION = {
    "aten::_scaled_dot_product_flash_attention": "flash",
    "aten::_scaled_dot_product_efficient_attention": "efficient",
    "aten::_scaled_dot_product_cudnn_attention": "cudnn",
    "aten::_cudnn_attention_forward": "cudnn",
    "aten::_flash_attention_forward": "flash",
    "aten::_efficient_attention_forward": "efficient",
    "torch_attn::_varlen_attn": "flash",
    "flash_attn::_flash_attn_forward": "flash",
    "flash_attn::_flash_attn_varlen_forward": "flash",
}
"""One attention call each, by backend.

Sources: aten/src/ATen/native/transformers/cuda/attention.cu; torch/nn/attention/varlen.py; of the flash-attention
repository, flash_attn/flash_attn_interface.py, whose operators are thin Python around one kernel.
"""

_SEVERAL = re.compile(
    r"aten::(_?linalg_(?!vector_norm|cross|check_errors)|_?cholesky|_?lobpcg|geqrf|ormqr|lu_unpack|triangular_solve"
    r"|_native_multi_head_attention|_transformer_encoder_layer_fwd)"
)


def is_several(name: str) -> bool:
    """Is it one of the solvers, or nn.MultiheadAttention's fast path? One call hides work and waits, nobody knows how
    many: they differ by size, and by the libraries of the build."""
    return _SEVERAL.match(name) is not None
