"""What is read off single events: sizes of products and of attention calls, bytes."""

from __future__ import annotations

import pytest

from vlbench.record.sequence import Attention, Event, Kind, Operand, Product, attention_of, itemsize, product_of


def operand(*shape: int, dtype: str = "bfloat16") -> Operand:
    stride, step = [], 1
    for size in reversed(shape):
        stride.append(step)
        step *= size
    return Operand(shape, tuple(reversed(stride)), dtype)


def event(name: str, *shapes: tuple[int, ...], **more: object) -> Event:
    given = {"operands": tuple(operand(*shape) for shape in shapes)} | more
    return Event(Kind.OPERATION, name, **given)  # type: ignore[arg-type]


PATCHES = event(
    "aten::convolution", (1296, 3, 2, 14, 14), (1280, 3, 2, 14, 14), results=(operand(1296, 1280, 1, 1, 1),)
)
GROUPS = event("aten::convolution", (2, 8, 10, 10), (16, 4, 3, 3), results=(operand(2, 16, 8, 8),))
PRODUCTS = {
    "mm": (event("aten::mm", (1296, 1176), (1176, 1280)), Product(1296, 1280, 1176, "bfloat16")),
    "mm.out": (event("aten::mm.out", (2, 3), (3, 4), (2, 4)), Product(2, 4, 3, "bfloat16")),
    "addmm": (event("aten::addmm", (3840,), (1296, 1280), (1280, 3840)), Product(1296, 3840, 1280, "bfloat16")),
    "bmm": (event("aten::bmm", (16, 64, 80), (16, 80, 64)), Product(64, 64, 80, "bfloat16", batch=16)),
    "baddbmm": (event("aten::baddbmm_", (2, 5, 7), (2, 5, 6), (2, 6, 7)), Product(5, 7, 6, "bfloat16", batch=2)),
    "linear": (event("aten::linear", (2, 9, 8), (24, 8), (24,)), Product(18, 24, 8, "bfloat16")),
    "patches": (PATCHES, Product(1296, 1280, 1176, "bfloat16")),
    "groups": (GROUPS, Product(128, 8, 36, "bfloat16", batch=2)),
    "float8": (
        event("aten::_scaled_mm", operands=(operand(4, 16, dtype="float8_e4m3fn"), operand(16, 8))),
        Product(4, 8, 16, "float8_e4m3fn"),
    ),
    "a sum": (event("aten::add.Tensor", (4, 4), (4, 4)), None),
    "not as its schema": (event("aten::mm", (4, 5), (4, 5)), None),
    "a view": (Event(Kind.VIEW, "aten::mm", operands=(operand(4, 4), operand(4, 4))), None),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_sizes_of_a_product(name: str) -> None:
    found, wanted = PRODUCTS[name]
    assert product_of(found) == wanted


HEADS_FIRST = ((2, 16, 64, 80), (2, 16, 96, 80), (2, 16, 96, 80))
SEGMENTS = ((1296, 16, 80), (1296, 16, 80), (1296, 16, 80))
ATTENTIONS = {
    "cudnn": (
        event("aten::_scaled_dot_product_cudnn_attention", *HEADS_FIRST, attention="cudnn"),
        (Attention(2, 16, 64, 96, 80, "bfloat16"),),
    ),
    "tokens first": (
        event("flash_attn::_flash_attn_forward", *[(2, 64, 16, 80)] * 3, attention="flash"),
        (Attention(2, 16, 64, 64, 80, "bfloat16"),),
    ),
    "segments": (
        event(
            "torch_attn::_varlen_attn", *SEGMENTS, attention="flash", lengths=((16, 16), (64, 64), (64, 64), (64, 64))
        ),
        (Attention(3, 16, 64, 64, 80, "bfloat16"), Attention(1, 16, 16, 16, 80, "bfloat16")),
    ),
    "segments that nobody knows": (event("torch_attn::_varlen_attn", *SEGMENTS, attention="flash"), ()),
    "somebody's": (event("mine::attend", *HEADS_FIRST, attention="mine"), ()),
    "in pieces": (
        Event(Kind.HOST, "aten::scaled_dot_product_attention", attention="math", operands=(operand(1, 1, 2, 2),) * 3),
        (),
    ),
    "none": (event("aten::mm", (2, 3), (3, 4)), ()),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_sizes_of_an_attention(name: str) -> None:
    found, wanted = ATTENTIONS[name]
    assert attention_of(found) == wanted


def test_bytes_are_those_of_memory() -> None:
    assert operand(3, 4).bytes == 24
    assert Operand((3, 4), (0, 1), "float32").bytes == 16  # one row, three times
    assert operand(0, 4).bytes == operand(4, 0).bytes == 0
    sizes = {"bool": 1, "uint8": 1, "float8_e4m3fn": 1, "float4_e2m1fn_x2": 1, "float64": 8, "complex64": 8}
    assert {dtype: itemsize(dtype) for dtype in sizes} == sizes
    added = event("aten::add.Tensor", (3, 4), (3, 4), results=(operand(3, 4),))
    assert (added.bytes_read, added.bytes_written, added.operation) == (48, 24, "aten::add")
