"""How much of each row's time a tower cannot do without, as a column."""

from collections.abc import Sequence

from vlbench.export.sheet import Column, Columns, figure
from vlbench.implementations.floor import NAME
from vlbench.judging.summary import Summary


def of_floor(found: Sequence[Summary]) -> Columns[Summary]:
    """The time of the row `floor` over that of each; nothing where it was not in the rounds, or has no time."""
    least = next((each.seconds for each in found if each.row.name.partition(":")[0] == NAME), None)
    if least is None:
        return {}
    return {Column("floor", "of_floor"): lambda each: figure(each.seconds and least / each.seconds, "{:.0%}")}
