"""The floor of a call on a board: of our models by their arithmetic, of other towers by the products they ask for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from vlbench.implementations.config import MODELS
from vlbench.kernel_times import Board, Call, NotInTablesError, Product, Time, floor, tower_work
from vlbench.record.base import Grid
from vlbench.record.sequence import Event, attention_of, product_of


def floor_of(board: Board, model: str, grids: Sequence[Grid], dtype: str, events: Iterable[Event]) -> Time | None:
    """The unavoidable products and attention; `model` is "" of a tower that is none of ours. None where one has none.

    Of other towers these are the products of `events`, with the attention calls of a stage in one.
    """
    work = tower_work(MODELS[model], grids) if model in MODELS else own_work(events)
    try:
        return floor(board, work, dtype) if work else None
    except NotInTablesError:
        return None


def own_work(events: Iterable[Event]) -> tuple[Product | Call, ...]:
    """The products of a forward, and its attention with all calls of one size in a stage as one."""
    products: Counter[tuple[int, int, int]] = Counter()
    batches: dict[tuple[str, int, int, int], int] = defaultdict(int)
    for event in events:
        if product := product_of(event):
            products[product.m, product.n, product.k] += product.batch
        for call in attention_of(event):
            batches[event.stage, call.heads, call.q_length, call.head_dim] += call.batch
    calls = Counter((batch, *sizes) for (_, *sizes), batch in batches.items())
    attention = (Call(batch, heads, length, width, times) for (batch, heads, length, width), times in calls.items())
    return (*(Product(m, n, k, times) for (m, n, k), times in products.items()), *attention)
