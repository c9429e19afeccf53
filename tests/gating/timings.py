"""Times made by hand: a group as `vlbench run` keeps it, and the cell that a baseline keeps of it."""

from __future__ import annotations

from typing import Any

from tests.record.records import group, timed, trial
from vlbench.comparing.timed_cells import cell_of
from vlbench.record.baseline import TimedCell
from vlbench.record.schema import CellGroup, Counts, Trial

NAME = "host-grid"


def trials(*ratios: float, confirms: bool = False, **fields: Any) -> list[Trial]:
    """A trial of `host-grid` for each ratio, each round of which took exactly that."""
    first = 5 if confirms else 0
    return [
        trial(timed(NAME, ratio, **fields), number=first + number, confirms=confirms)
        for number, ratio in enumerate(ratios)
    ]


def measured(
    *ratios: float, more: list[Trial] | None = None, seen: dict[str, Any] | None = None, **fields: Any
) -> CellGroup:
    """The group of such trials, on the shipped scenario multi-image; `seen` are fields of the variant in each."""
    return group(*trials(*ratios, **(seen or {})), *(more or []), **fields)


def stored(*ratios: float, stages: dict[str, float] | None = None, **fields: Any) -> TimedCell:
    """The cell of such trials."""
    made = measured(*ratios) if ratios else measured(*[1.0] * 5)
    cell = cell_of(made, made.rows[1], "warm", made.scenario)
    assert cell is not None
    counts = Counts(aten_operations=300, attention_calls=16)
    return TimedCell.model_validate(cell.model_dump() | {"stages": stages or {}, "counts": counts} | fields)
