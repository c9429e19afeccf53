"""The order in which everything happens, written down."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.ordered import OrderedRecord
from vlbench.implementations.stage import listen, stage
from vlbench.record.sequence import Attention, Event, Kind, Operand, attention_of, product_of

BF16 = torch.bfloat16


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(8, 16, dtype=BF16)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        with stage("proj"):
            x = self.proj(x)
        return F.silu(x)[: int(lengths.max())]


def recorded(call: Callable[[CountingDevice], Callable[[], object]]) -> list[Event]:
    with CountingDevice("ghost", "sm_90") as device, torch.inference_mode():
        run = call(device)
        with device.count(record := OrderedRecord()) as counter, listen(counter):
            run()
    return record.events


def of_small(device: CountingDevice) -> Callable[[], object]:
    module = device.build(Small)
    x, lengths = device.pixels((4, 8), BF16), device.upload(torch.tensor([1, 2]))
    return lambda: module(x, lengths)


def test_the_sequence_of_a_small_module() -> None:
    x, y = Operand((4, 8), (8, 1), "bfloat16"), Operand((4, 16), (16, 1), "bfloat16")
    weight, bias = Operand((16, 8), (8, 1), "bfloat16"), Operand((16,), (1,), "bfloat16")
    turned = Operand((8, 16), (1, 8), "bfloat16")
    lengths, longest = Operand((2,), (1,), "int64"), Operand((), (), "int64")
    found = recorded(of_small)
    here = {each.line.rpartition(":")[0].rpartition("/")[2] for each in found}
    assert here == {"test_ordered.py"}
    first = int(found[0].line.rpartition(":")[2])
    proj, last = f"{found[0].line}", f"{found[0].line.rpartition(':')[0]}:{first + 1}"
    assert found == [
        Event(Kind.VIEW, "aten::t", "proj", (weight,), (turned,), line=proj),
        Event(Kind.OPERATION, "aten::addmm", "proj", (bias, x, turned), (y,), line=proj),
        Event(Kind.ALLOCATION, "", "proj", (), (y,), 4 * 16 * 2, line=proj),
        Event(Kind.OPERATION, "aten::silu", "", (y,), (y,), line=last),
        Event(Kind.ALLOCATION, "", "", (), (y,), 4 * 16 * 2, line=last),
        Event(Kind.OPERATION, "aten::max", "", (lengths,), (longest,), line=last),
        Event(Kind.ALLOCATION, "", "", (), (longest,), 8, line=last),
        Event(Kind.READ_BACK, "aten::_local_scalar_dense", "", (longest,), (), 8, blocking=True, line=last),
        Event(Kind.VIEW, "aten::slice.Tensor", "", (y,), (Operand((2, 16), (16, 1), "bfloat16"),), line=last),
    ]
    product = product_of(found[1])
    assert product is not None
    assert (product.m, product.n, product.k) == (4, 16, 8)


def copies(device: CountingDevice) -> Callable[[], object]:
    def run() -> None:
        given = torch.arange(4)
        there = given.pin_memory().to("cuda", non_blocking=True)
        torch.cuda.synchronize()
        made = torch.empty(4, dtype=torch.int64, device="cuda")
        made[torch.tensor([0, 1])] = there[:2]
        made.cpu()

    return run


def test_copies_and_waits_are_where_they_happen() -> None:
    seen = [
        (each.kind.value, each.name, each.bytes, each.blocking, each.pinned, each.implicit)
        for each in recorded(copies)
        if each.kind is not Kind.ALLOCATION
    ]
    assert seen == [
        ("host operation", "aten::arange", 0, False, False, False),
        ("host operation", "aten::_pin_memory", 0, False, False, False),
        ("upload", "aten::_to_copy", 32, False, True, False),
        ("synchronize", "torch.cuda.synchronize", 0, True, False, False),
        ("view", "aten::empty.memory_format", 0, False, False, False),
        ("view", "aten::slice.Tensor", 0, False, False, False),
        ("host operation", "aten::lift_fresh", 0, False, False, False),  # torch.tensor does both
        ("host operation", "aten::detach_", 0, False, False, False),
        ("upload", "aten::index_put_", 16, True, False, True),
        ("operation", "aten::index_put_", 0, False, False, False),
        ("read-back", "aten::_to_copy", 32, True, False, False),
    ]


def test_an_upload_comes_before_what_the_device_does_with_it() -> None:
    def strided(device: CountingDevice) -> Callable[[], object]:
        target, source = device.pixels((4, 4), BF16).t(), torch.zeros(4, 4, dtype=BF16)
        return lambda: target.copy_(source)

    assert [each.kind for each in recorded(strided)] == [Kind.UPLOAD, Kind.OPERATION]


def attention(device: CountingDevice) -> Callable[[], object]:
    q = device.pixels((1, 2, 64, 80), BF16)
    return lambda: [F.scaled_dot_product_attention(q, q, q) for _ in range(2)]


def test_the_first_attention_of_a_size_builds_its_plan() -> None:
    calls = [each for each in recorded(attention) if each.kind is Kind.OPERATION]
    assert [(each.attention, each.new_plan) for each in calls] == [("cudnn", True), ("cudnn", False)]
    assert [attention_of(each) for each in calls] == [(Attention(1, 2, 64, 64, 80, "bfloat16"),)] * 2


def test_an_attention_in_pieces_is_followed_by_them() -> None:
    def in_float64(device: CountingDevice) -> Callable[[], object]:
        q = device.pixels((1, 2, 64, 80), torch.float64)
        return lambda: F.scaled_dot_product_attention(q, q, q)

    first, *rest = recorded(in_float64)
    assert (first.kind, first.attention, attention_of(first)) == (Kind.HOST, "math", ())
    assert sum(product_of(each) is not None for each in rest) == 2


def segments(device: CountingDevice) -> Callable[[], object]:
    from torch.nn.attention.varlen import varlen_attn

    q, bounds = device.pixels((10, 2, 64), BF16), device.upload(torch.tensor([0, 4, 8, 10], dtype=torch.int32))
    return lambda: varlen_attn(q, q, q, bounds, bounds, 4, 4)


def test_the_lengths_of_segments_are_kept() -> None:
    (call,) = (each for each in recorded(segments) if each.attention)
    assert call.lengths == ((4, 4), (4, 4), (2, 2))
    assert attention_of(call)[0] == Attention(2, 2, 4, 4, 64, "bfloat16")
