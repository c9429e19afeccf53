"""What an event takes on a board, and what is said where nothing tells it."""

from __future__ import annotations

import pytest

from tests.predicting.hand_made import BOARD, add, attend, mm, tensor
from vlbench.predicting.kernels import By, Kernels, moved_bytes
from vlbench.record.sequence import Event, Kind, Operand, attention_of

KERNELS = Kernels(BOARD)


def operation(name: str, *operands: Operand) -> Event:
    return Event(Kind.OPERATION, name, operands=operands, results=operands[:1])


def test_products_and_attention_are_those_of_the_tables() -> None:
    took = KERNELS.took(mm(200))
    assert (took.by, took.us) == (By.PRODUCT, BOARD.product(200, 1000, 1000, "bfloat16").us)
    took = KERNELS.took(attend(16, 128))
    assert (took.by, took.us) == (By.ATTENTION, BOARD.attention(16, 16, 128, 80, "bfloat16").us)


def test_the_rest_goes_by_its_bytes() -> None:
    took = KERNELS.took(add(1_000_000))
    assert took.by is By.BYTES
    assert took.us == BOARD.moved(3 * 2_000_000).us


def test_calls_over_segments_are_added_up_by_length() -> None:
    q = tensor(64 + 64 + 128, 16, 80)
    event = Event(
        Kind.OPERATION, "x::varlen", operands=(q, q, q), attention="flash", lengths=((64, 64), (64, 64), (128, 128))
    )
    assert [call.batch for call in attention_of(event)] == [2, 1]
    times = [BOARD.attention(2, 16, 64, 80, "bfloat16"), BOARD.attention(1, 16, 128, 80, "bfloat16")]
    assert KERNELS.took(event).us == pytest.approx(sum(time.us for time in times))


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (mm(10), "is not in the tables"),
        (operation("aten::bmm", tensor(4, 200, 1000), tensor(4, 1000, 1000)), "products in batches"),
        (operation("aten::sort.stable", tensor(100)), "it is several kernels"),
        (operation("aten::index_put_", tensor(100), tensor(3)), "it is several kernels"),
        (
            Event(Kind.OPERATION, "x::attend", operands=(tensor(9, 16, 80),) * 2, attention="flash"),
            "lengths are not known",
        ),
        (
            Event(Kind.OPERATION, "x::a", operands=(tensor(9, 16, 80),) * 2, attention="flash", lengths=((64, 128),)),
            "64 queries and 128 keys",
        ),
    ],
)
def test_what_no_table_tells_has_no_time_and_says_why(event: Event, why: str) -> None:
    took = KERNELS.took(event)
    assert why in took.why_not
    assert (took.us, took.low, took.high) == (0, 0, 0)


def test_what_is_overwritten_is_not_read() -> None:
    target, source = tensor(1000), tensor(1000)
    assert moved_bytes(operation("aten::copy_", target, source)) == 2000 + 2000
    assert moved_bytes(operation("aten::add_.Tensor", target, source)) == 3 * 2000
    assert moved_bytes(operation("aten::fill_.Scalar", target)) == 2000
