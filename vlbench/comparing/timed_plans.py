"""From stored cells back to the plans that timed them: the same inputs, reference, variants and settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.comparing.timed_cells import cell_of, difference
from vlbench.errors import UsageError
from vlbench.record.baseline import TimedCell
from vlbench.record.grouping import gathered
from vlbench.record.schema import NO_FLAGS

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import CellGroup, Row
    from vlbench.towers.variants import Variant
    from vlbench.workload.scenario import ScenarioPoint

_OTHER_GRIDS = "the scenario {} feeds other grids than those that were timed"
WITHOUT_CHECKPOINT = ("random", "its own")
"""What `TimedCell.weights` says where no checkpoint was read."""


@dataclass(frozen=True)
class Rebuilt:
    """What is to be measured again."""

    plans: list[Plan]
    cells: list[list[TimedCell]]
    """By plan."""
    gone: dict[str, str]
    """Cells that cannot be measured again, and why, by name."""


def rebuild(cells: Iterable[TimedCell]) -> Rebuilt:
    """One plan for all cells that shared their rounds. A cell that cannot be had is gone; the others stay."""
    rebuilt = Rebuilt([], [], {})
    for group in gathered((_shared(cell), cell) for cell in cells).values():
        try:
            reference_tower, point = _reference_tower(group[0]), _point(group[0])
        except UsageError as error:
            rebuilt.gone.update((cell.name, str(error)) for cell in group)
            continue
        variants = _references(group)
        for cell in group:
            try:
                variants.setdefault(cell.variant, _variant(cell))
            except UsageError as error:
                rebuilt.gone[cell.name] = str(error)
        if kept := [cell for cell in group if cell.variant in variants]:
            rebuilt.plans.append(_plan(kept, point, [reference_tower, *variants.values()]))
            rebuilt.cells.append(kept)
    return rebuilt


def row_of(group: CellGroup, cell: TimedCell) -> Row:
    """The row of a measured group that is the cell's."""
    return next(row for row in group.rows if row.name == cell.variant)


def why_other(cell: TimedCell, group: CellGroup) -> str | None:
    """Why what was measured is not what the cell holds, None where it is.

    What anyone's tower is fed is known once its code has run.
    """
    if not all(trial.grids == cell.grids for trial in group.trials):
        return _OTHER_GRIDS.format(cell.scenario)
    now = cell_of(group, row_of(group, cell), cell.state, cell.scenario)
    reason = difference(cell, now) if now else None
    return reason and f"{reason}; save the baseline again where that is meant"


def _shared(cell: TimedCell) -> tuple[object, ...]:
    """What cells have in common that share their rounds."""
    return (
        *(cell.scenario, cell.point, cell.grids, cell.model, cell.reference == cell.model),
        *(cell.dtype, cell.device, cell.seed, cell.threads, cell.weights),
    )


def _plan(cells: list[TimedCell], point: ScenarioPoint, variants: list[Variant]) -> Plan:
    from vlbench.matrix.plan import Plan

    first = cells[0]
    checkpoint = first.weights not in WITHOUT_CHECKPOINT
    return Plan(
        point,
        first.model,
        first.dtype,
        first.device,
        variants,
        seed=first.seed,
        threads=first.threads,
        states=tuple(dict.fromkeys(cell.state for cell in cells)),
        weights=Path(first.weights) if checkpoint else None,
        own_weights=first.weights,
    )


def _point(cell: TimedCell) -> ScenarioPoint:
    """The point of the scenario. Raises UsageError where it is gone or feeds other grids now."""
    from vlbench.towers.resolve import config_of
    from vlbench.workload.batch import grids_only
    from vlbench.workload.library import load_scenario

    points = load_scenario(cell.scenario).points(cell.device)
    point = next((each for each in points if each.label == cell.point), None)
    if point is None:
        there = ", ".join(each.label for each in points if each.label) or "one point without a label"
        raise UsageError(f"the scenario {cell.scenario} has no point {cell.point!r}; it has {there}")
    config = config_of(cell.model)
    if config and grids_only(point, cell.seed, config.preprocessing) != cell.grids:
        raise UsageError(_OTHER_GRIDS.format(cell.scenario))
    return point


def _reference_tower(cell: TimedCell) -> Variant:
    """What ratios are taken to. Raises UsageError where it cannot be had here."""
    from vlbench.towers.models import checkpoint_model, find_model
    from vlbench.towers.variants import first_tower, reference_tower

    if cell.weights not in WITHOUT_CHECKPOINT and not Path(cell.weights).is_dir():
        raise UsageError(f"its checkpoint {cell.weights} is not here")
    if cell.weights not in WITHOUT_CHECKPOINT:
        checkpoint_model(Path(cell.weights), None)
    if cell.reference == cell.model:
        return first_tower(cell.model)
    find_model(cell.model)
    return reference_tower()


def _references(group: Iterable[TimedCell]) -> dict[str, Variant]:
    """What cells are held against beside the reference tower, by name."""
    from vlbench.towers.variants import no_flags

    return {NO_FLAGS: no_flags()} if any(cell.reference == NO_FLAGS for cell in group) else {}


def _variant(cell: TimedCell) -> Variant:
    """The row of the cell, in the class of accuracy that was accepted. Raises UsageError where it does not exist."""
    from vlbench.implementations.optimized import Exactness
    from vlbench.towers.models import find_model
    from vlbench.towers.variants import parse_variant, tower_variant

    exactness = Exactness(cell.exactness)
    if cell.reference == cell.model:
        return replace(tower_variant(cell.variant, exactness), reference=cell.reference)
    made = parse_variant(cell.variant, find_model(cell.model), cell.device)
    return replace(made, exactness=exactness, reference=cell.reference)
