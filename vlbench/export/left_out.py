"""What rows leave out of the prompt, and what that costs, as two columns."""

from collections.abc import Sequence

from vlbench.export.sheet import Column, Columns, figure
from vlbench.judging.summary import Summary
from vlbench.judging.words import percent


def loss(found: Sequence[Summary]) -> Columns[Summary]:
    """The share of tokens that stays, and the error of what stands in for the rest; nothing where all stay."""
    columns: Columns[Summary] = {
        Column("retained"): lambda each: figure(_of(each, "retained"), percent),
        Column("cosine\nerror", "cosine_error"): lambda each: figure(_of(each, "cosine_error"), "{:.3f}"),
    }
    return columns if any(_of(each, "retained") for each in found) else {}


def _of(each: Summary, field: str) -> float | None:
    return getattr(each.accuracy, field, None)
