"""The floor of a call on a board: of our models by their arithmetic, of other towers by the products they ask for."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vlbench.implementations.config import MODELS
from vlbench.kernel_times import NotInTablesError, floor, tower_work
from vlbench.predicting.kernels import By, Kernels, Took, summed
from vlbench.record.base import Grid
from vlbench.record.sequence import Attention, Event, attention_of, product_of


def floor_of(kernels: Kernels, model: str, grids: Sequence[Grid], dtype: str, events: Iterable[Event]) -> Took | None:
    """The unavoidable products and attention; `model` is "" of a tower that is none of ours. None where one has none.

    Of other towers these are the products of `events`, each at its own time, with the attention calls of a stage in
    one. A product without a time is left out: the row names it among what has none.
    """
    if model not in MODELS:
        return _own_floor(kernels, events)
    try:
        return summed([floor(kernels.board, tower_work(MODELS[model], grids), dtype)], By.PRODUCT)
    except NotInTablesError:
        return None


def _own_floor(kernels: Kernels, events: Iterable[Event]) -> Took | None:
    products: list[Took] = []
    batches: dict[tuple[str, Attention], int] = defaultdict(int)
    for event in events:
        products += [kernels.took(event)] if product_of(event) else []
        for call in attention_of(event):
            batches[event.stage, replace(call, batch=1)] += call.batch
    attention = kernels.attended(replace(call, batch=batch) for (_, call), batch in batches.items())
    least = summed([*products, attention], By.PRODUCT)
    return None if attention.why_not or not least.us else least
