"""Which towers a job counts: those it names, and of our models their variants."""

from dataclasses import dataclass, field, replace

from vlbench.counting.job import CountJob, refuse_variants_of_none
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import USUAL
from vlbench.record.schema import REFERENCE
from vlbench.record.timing import MAKING, PlanMade
from vlbench.towers.plans import beside_handed_in, places_of
from vlbench.towers.resolve import check_tower
from vlbench.towers.variants import parse_variant


@dataclass(frozen=True)
class Row:
    """A tower to count."""

    name: str
    tower: str
    """What `resolve_tower` makes of it."""
    source: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    plan: PlanMade = "inside"
    """Where its plan is made."""
    making: bool = False
    """Is the making of it all that is counted?"""


def rows_of(job: CountJob) -> list[Row]:
    """One row per tower; one of our models stands for its reference tower and its variants. Raises UsageError."""
    refuse_variants_of_none(job.towers, job.variants)
    rows: dict[str, Row] = {}
    for text in job.towers:
        found = _of_model(text, job.variants, len(job.towers) > 1) if text in MODELS else [_named(text)]
        rows.update((row.name, row) for row in found)
    listed = list(rows.values())
    return with_plans(listed) if job.plan else listed


def with_plans(rows: list[Row]) -> list[Row]:
    """Each row, and after it those in which its plan is handed in, and in which that is made. Raises UsageError."""
    found = []
    for row in beside_handed_in(rows, lambda row: places_of(row.tower, "cuda")):
        found.append(row)
        if row.plan != "inside":
            found.append(replace(row, name=f"{row.name}{MAKING}", making=True))
    return found


def _named(text: str) -> Row:
    return Row(text, text, check_tower(text))


def _of_model(model: str, variants: tuple[str, ...] | None, among_others: bool) -> list[Row]:
    chosen = [name for name in USUAL if name != REFERENCE] if variants is None else variants
    rows = [Row(model if among_others else REFERENCE, model)]
    for text in chosen:
        variant = parse_variant(text, MODELS[model], "cuda")
        if variant.flags is None:
            continue  # the reference tower, which is there already
        tower = variant.tower or f"{model}+{text}"
        name = f"{model}+{text}" if among_others and not variant.tower else text
        rows.append(Row(name, tower, variant.source, variant.left_out))
    return rows
