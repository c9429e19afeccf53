"""What each event takes on a GPU: products and attention by measured tables, the rest by the bytes it moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from vlbench.kernel_times import Board, NotInTablesError, Time
from vlbench.predicting.host import Host, hosts
from vlbench.record.sequence import REPLAY, Attention, Event, attention_of, product_of


class By(StrEnum):
    """Where a time is from; each has an error of its own."""

    PRODUCT = "products"
    ATTENTION = "attention"
    BYTES = "by bytes"


@dataclass(frozen=True, slots=True)
class Took:
    """Microseconds of the device for one event; `why_not` where nothing tells them, and then there are none."""

    us: float
    low: float
    high: float
    by: By
    why_not: str = ""
    note: str = ""
    """What is to be said of it beside its error."""


_SEVERAL = (
    "sort argsort topk unique_consecutive _unique _unique2 unique_dim nonzero cumsum masked_select masked_scatter "
    "_index_put_impl index_put grid_sampler_2d repeat_interleave scatter_add linalg_qr"
)
SEVERAL = frozenset(f"aten::{name}" for name in _SEVERAL.split())
"""Operations that are several kernels, or no simple pass over their operands: bytes say nothing of them."""
OVERWRITES = frozenset({"aten::copy_", "aten::fill_", "aten::zero_"})
"""They write their first operand and do not read it."""


class Kernels:
    """The times of one board; each distinct event is looked up once."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._known: dict[object, Took] = {}

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The fast host and the slow one beside this board."""
        return hosts(self.board.stored.host)

    def took(self, event: Event) -> Took:
        """Of an operation."""
        key = (event.name, event.attention, event.operands, event.results, event.lengths)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._looked_up(event)
        return found

    def attended(self, calls: Iterable[Attention]) -> Took:
        """Of these attentions in one call."""
        try:
            return summed([self._attention(each) for each in calls], By.ATTENTION)
        except NotInTablesError as error:
            return unknown(By.ATTENTION, str(error))

    def copied(self, event: Event) -> Took:
        """Of a copy over the bus."""
        return summed([self.board.copied(event.bytes)], By.BYTES)

    def _attention(self, call: Attention) -> Time:
        if call.q_length != call.kv_length:
            lengths = f"{call.q_length} queries and {call.kv_length} keys"
            raise NotInTablesError(f"{self.board.name}: attention with {lengths} is not in the tables")
        return self.board.attention(call.batch, call.heads, call.q_length, call.head_dim, call.dtype)

    def _looked_up(self, event: Event) -> Took:
        if event.operation == REPLAY:
            return unknown(By.BYTES, "what a graph replays is counted as one operation")
        if event.attention:
            calls = attention_of(event)
            return self.attended(calls) if calls else unknown(By.ATTENTION, "its lengths are not known")
        if product := product_of(event):
            if product.batch > 1:
                return unknown(By.PRODUCT, "products in batches are not in the tables")
            try:
                took = summed([self.board.product(product.m, product.n, product.k, product.dtype)], By.PRODUCT)
                return replace(took, note=self.board.unaligned(product.n, product.k, product.dtype))
            except NotInTablesError as error:
                return unknown(By.PRODUCT, str(error))
        if event.operation.rstrip("_") in SEVERAL:
            return unknown(By.BYTES, "it is several kernels")
        return summed([self.board.moved(moved_bytes(event))], By.BYTES)


def moved_bytes(event: Event) -> int:
    """Bytes that an operation reads and writes, each operand whole."""
    unread = event.operands[0].bytes if event.operation in OVERWRITES and event.operands else 0
    return event.bytes_read + event.bytes_written - unread


def summed(times: Sequence[Time | Took], by: By) -> Took:
    """One after the other."""
    return Took(sum(each.us for each in times), sum(each.low for each in times), sum(each.high for each in times), by)


def unknown(by: By, why: str) -> Took:
    """No time, and why."""
    return Took(0.0, 0.0, 0.0, by, why)
