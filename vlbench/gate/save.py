"""What a first baseline of counters holds."""

from __future__ import annotations

from collections.abc import Sequence

from vlbench.counting.job import CountJob, Point
from vlbench.errors import IncomparableError
from vlbench.gate.recount import Wanted, recount
from vlbench.record.baseline import CountedCell
from vlbench.record.schema import Dtype


def wanted_cells(
    towers: Sequence[str], variants: tuple[str, ...] | None, points: Sequence[Point], profile: str, dtype: Dtype
) -> list[Wanted]:
    """Every tower on every point; one of our models stands for its yardstick and its `variants`, or its presets.

    Raises UsageError for a tower of ours or a variant that does not exist. Nobody's factory is imported here.
    """
    from vlbench.counting.rows import rows_of
    from vlbench.implementations.config import MODELS
    from vlbench.matrix.resolve import check_tower, is_foreign

    models = tuple(text for text in towers if text in MODELS)
    job = CountJob(towers=models, variants=variants, points=(), profile=profile, dtype=dtype)
    others = [text for text in towers if text not in MODELS]
    for text in others:
        if not is_foreign(text):
            check_tower(text)
    names = dict.fromkeys([*(row.tower for row in rows_of(job)), *others])
    return [Wanted(name, point, profile, dtype) for name in names for point in points]


def count_all(wanted: Sequence[Wanted]) -> tuple[CountedCell, ...]:
    """Every cell counted. Raises IncomparableError, naming the first that cannot be: half a baseline guards nothing."""
    (found,) = recount([wanted])
    cells = []
    for each in wanted:
        counted = found[each]
        if counted.cell is None:
            point = " ".join(filter(None, (each.point.scenario, each.point.label)))
            raise IncomparableError(
                f"{each.tower} on {point} cannot be counted: {counted.reason}; mend it or leave it out"
            )
        cells.append(counted.cell)
    return tuple(cells)
