"""What a forward asks of a device, in order, and what is read off one event: a product's sizes, an attention's.

`vlbench.counting_device` makes the events, one at a time as they happen; counters are what is left of them without
their order.
"""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Literal, Self

ForwardName = Literal["warm", "cold"]
"""The first forward of a new module is cold, the second, on the same grids, warm."""

REPLAY = "cuda::graph_replay"
"""What a replay of a CUDA graph is counted as: one call for all that is in it."""


class Kind(StrEnum):
    """What an event is. Copies are named as `record.site.Site` names them."""

    OPERATION = "operation"
    """The device is asked for work."""
    VIEW = "view"
    """Torch looks at memory that is there, or asks for some without work (`torch.empty`): the host alone works."""
    HOST = "host operation"
    """An operation on tensors of the host."""
    UPLOAD = "upload"
    READ_BACK = "read-back"
    WAIT = "synchronize"
    """The host waits, and nothing is copied."""
    ALLOCATION = "allocation"
    """Memory of the device that the operation before it needs."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operation was given or made."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    """In elements."""
    dtype: str
    """Of torch, such as "bfloat16"."""

    @classmethod
    def dense(cls, shape: tuple[int, ...], dtype: str) -> Self:
        """One whose elements lie one behind the other, row by row."""
        return cls(shape, tuple(prod(shape[place + 1 :]) for place in range(len(shape))), dtype)

    @property
    def bytes(self) -> int:
        """Of memory that it looks at: what is broadcast by a stride of 0 is there once."""
        return itemsize(self.dtype) * prod(
            size if stride or not size else 1 for size, stride in zip(self.shape, self.stride, strict=True)
        )


def itemsize(dtype: str) -> int:
    """Bytes of an element; torch packs what is smaller than one into bytes."""
    bits = re.search(r"\d+", dtype)
    return max(int(bits[0]) // 8, 1) if bits else 1


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was asked of the device, or of torch on the host, in its place among others."""

    kind: Kind
    name: str = ""
    """Of torch, by its full name with the overload, such as "aten::addmm"; "" of an allocation."""
    stage: str = ""
    """The innermost stage, "" outside of all."""
    operands: tuple[Operand, ...] = ()
    """All tensors among its arguments, in order; of a copy what is copied, where that is known."""
    results: tuple[Operand, ...] = ()
    bytes: int = 0
    """That a copy moves over the bus, or that are allocated."""
    pinned: bool = False
    blocking: bool = False
    """Does the host wait until the device has done all that was asked?"""
    implicit: bool = False
    """Of an upload: nobody wrote it down, such as that of a host index into a device tensor."""
    attention: str = ""
    """The backend of an attention call. With "math" the event is of kind HOST, and its pieces follow."""
    new_plan: bool = False
    """cuDNN builds a plan before it attends, which takes the host some 25 ms and more."""
    replayed: bool = False
    """On a GPU it is part of a CUDA graph, and one launch replays all of that."""
    lengths: tuple[tuple[int, int], ...] = ()
    """Of an attention over segments: queries and keys of each, where the bounds are known."""
    line: str = ""
    """`file:line` of the innermost frame outside torch; "" where there is none."""

    @property
    def operation(self) -> str:
        """The name without its overload, as a profiler has it."""
        return self.name.partition(".")[0]

    @property
    def bytes_read(self) -> int:
        """Of all operands, each whole, whatever part of it is used."""
        return sum(each.bytes for each in self.operands)

    @property
    def bytes_written(self) -> int:
        """Of all results."""
        return sum(each.bytes for each in self.results)


@dataclass(frozen=True)
class Sequences:
    """The events of two forwards."""

    cold: tuple[Event, ...]
    warm: tuple[Event, ...]

    def of(self, forward: ForwardName) -> tuple[Event, ...]:
        """Those of one of them."""
        return self.cold if forward == "cold" else self.warm


# Products ------------------------------------------------------------------------------------------------------------

PRODUCTS = {
    "aten::mm": 0,
    "aten::addmm": 1,
    "aten::_addmm_activation": 1,
    "aten::_scaled_mm": 0,
    "aten::_int_mm": 0,
    "aten::bmm": 0,
    "aten::baddbmm": 1,
    "aten::linear": 0,
    "aten::convolution": 0,
}
"""Operations that are a matrix product, each with the place of its left matrix among its tensors."""


@dataclass(frozen=True, slots=True)
class Product:
    """`batch` products of [m, k] and [k, n]."""

    m: int
    n: int
    k: int
    dtype: str
    """Of the left matrix."""
    batch: int = 1


def product_of(event: Event) -> Product | None:
    """The product that an event is; None for what is none, or not as torch's schema has it.

    A convolution is the product of its unfolded patches and its kernel, a group of it one of a batch.
    """
    name = event.operation.rstrip("_")
    first = PRODUCTS.get(name)
    if event.kind is not Kind.OPERATION or first is None or len(event.operands) < first + 2:
        return None
    left, right = event.operands[first : first + 2]
    match name:
        case "aten::linear":
            return _product(left, (prod(left.shape[:-1]), left.shape[-1]), right.shape[::-1])
        case "aten::convolution":
            return _convolution(event, left, right)
        case _:
            return _product(left, left.shape, right.shape)


def _product(left: Operand, rows: tuple[int, ...], columns: tuple[int, ...]) -> Product | None:
    (*batches, m, k), (*others, inner, n) = rows, columns
    return Product(m, n, k, left.dtype, prod(batches)) if k == inner and batches == others else None


def _convolution(event: Event, source: Operand, kernel: Operand) -> Product | None:
    channels, (wide, deep, *sides) = source.shape[1], kernel.shape
    if not event.results or event.results[0].shape[1] != wide or channels % deep:
        return None  # transposed
    groups, made = channels // deep, event.results[0].shape
    return Product(made[0] * prod(made[2:]), wide // groups, deep * prod(sides), source.dtype, groups)


# Attention -----------------------------------------------------------------------------------------------------------

_TOKENS_FIRST = frozenset(
    {"aten::_flash_attention_forward", "aten::_efficient_attention_forward", "flash_attn::_flash_attn_forward"}
)
"""Take [batch, tokens, heads, head_dim]; those of SDPA and cuDNN take [batch, heads, tokens, head_dim]."""
_HEADS_FIRST = re.compile(r"aten::(_scaled_dot_product_\w+_attention|scaled_dot_product_attention|_cudnn_attention\w*)")


@dataclass(frozen=True, slots=True)
class Attention:
    """`batch` attentions of the same lengths, in one call."""

    batch: int
    heads: int
    q_length: int
    kv_length: int
    head_dim: int
    dtype: str


def attention_of(event: Event) -> tuple[Attention, ...]:
    """The attentions that one call is, the more frequent lengths first; of a dense call one.

    Empty for what is no attention call, for one whose segments are not known, and for a kernel of somebody's whose
    layout nothing tells: `event.attention` tells these apart.
    """
    if not event.attention or event.kind is not Kind.OPERATION or len(event.operands) < 2:
        return ()
    q, k = event.operands[:2]
    if event.lengths:
        alike = Counter(event.lengths).most_common()
        return tuple(Attention(times, q.shape[-2], *pair, q.shape[-1], q.dtype) for pair, times in alike)
    if len(q.shape) != 4 or len(k.shape) != 4:
        return ()
    if event.operation in _TOKENS_FIRST and len(event.operands) == 3:
        (batch, tokens, heads, width), keys = q.shape, k.shape[1]
    elif _HEADS_FIRST.fullmatch(event.operation):
        (batch, heads, tokens, width), keys = q.shape, k.shape[2]
    else:
        return ()
    return (Attention(batch, heads, tokens, keys, width, q.dtype),)
