"""Plans: cell groups to measure, one for each point of what is fed in, model, dtype and device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from vlbench.errors import UsageError, check_choice
from vlbench.record.schema import CellGroup, Device, Dtype, Row, State, Trial
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.workload.library import one_point

if TYPE_CHECKING:
    from vlbench.matrix.targets import Target
    from vlbench.towers.variants import Variant
    from vlbench.workload.scenario import ScenarioPoint, SeamPoint

COORDINATES = ("scenario", "point", "model", "dtype", "device", "variant")


@dataclass(frozen=True)
class Plan:
    """One cell group to measure: what is fed in, to which model, in which variants."""

    point: ScenarioPoint | SeamPoint
    model: str
    dtype: Dtype
    device: Device
    variants: Sequence[Variant]
    seed: int = 0
    threads: int = 1
    states: tuple[State, ...] = ("warm",)
    weights: Path | None = None
    images: tuple[Path, ...] | None = None
    also_check: tuple[ScenarioPoint, ...] = ()
    own_weights: str = "random"
    """Where weights come from without `weights`."""
    stages: bool = True
    """Are the stages' shares wanted?"""
    confidence: float = 0.95
    """Of the intervals that rounds go on for, until they are narrow."""

    @property
    def reference(self) -> str:
        """The name of the variant that all others are compared with."""
        return self.variants[0].name

    def group(self, trials: Sequence[Trial], lost: Sequence[str], planned: int | None = None) -> CellGroup:
        """The record of this group from its trials, of which so many were planned."""
        return CellGroup(
            scenario=self.point.scenario,
            point=self.point.label,
            model=self.model,
            dtype=self.dtype,
            device=self.device,
            why_scaled=self.point.why_scaled,
            weights=str(self.weights or self.own_weights),
            images=tuple(map(str, self.images or ())),
            seed=self.seed,
            threads=self.threads,
            rows=tuple(
                Row(
                    name=variant.name,
                    flags=variant.flags,
                    exactness=str(variant.exactness),
                    reference=variant.reference,
                    tower=variant.source,
                    plan=variant.plan,
                    left_out=variant.left_out,
                    slow_down=variant.slow_down,
                    slowed_on=variant.slowed_on,
                )
                for variant in self.variants
            ),
            trials=tuple(trials),
            lost=tuple(lost),
            planned=planned,
        )


@dataclass(frozen=True)
class Settings:
    """What all plans of a run share."""

    seed: int = 0
    threads: int = 1
    states: tuple[str, ...] = ()
    """Where none is named: warm; of recorded calls churn, which is to replay them."""
    weights: Path | None = None
    images: tuple[Path, ...] | None = None


@dataclass(frozen=True)
class CellFilter:
    """Patterns by coordinate; a cell passes when every coordinate that is named matches one of its patterns."""

    patterns: Mapping[str, tuple[str, ...]]

    def keeps(self, **coordinates: str) -> bool:
        """Does a cell with these coordinates pass? Coordinates that are not given are not asked about."""
        return all(
            any(fnmatchcase(coordinates[name], pattern) for pattern in patterns)
            for name, patterns in self.patterns.items()
            if name in coordinates
        )


def parse_filter(texts: list[str]) -> CellFilter:
    """The filter of options such as `model=qwen2.5-*` or `variant=rope-*,best`; several of one coordinate add up."""
    patterns: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, wanted = text.partition("=")
        if not equals or name not in COORDINATES or not wanted:
            raise UsageError(f"--filter: {text!r} must be COORDINATE=PATTERN with one of {', '.join(COORDINATES)}")
        patterns[name] = (*patterns.get(name, ()), *wanted.split(","))
    return CellFilter(patterns)


Fed = tuple[str, "Iterable[ScenarioPoint | SeamPoint]", "Target"]
"""The name of what is fed in, its points, and to what."""


def plans_of(fed: Iterable[Fed], cells: CellFilter, settings: Settings) -> list[Plan]:
    """One plan per point that passes the filter, of the variants that pass it, with what their ratios are taken to.

    Raises UsageError where none does, for states of caches that there are not, and for pictures and weights that cannot
    be what they should.
    """
    if settings.images:
        from vlbench.workload.photos import check_pictures

        check_pictures(settings.images)
    if settings.weights:
        check_checkpoint(settings.weights)
    plans = [plan for each in fed for plan in _plans(*each, cells, settings)]
    if not plans:
        raise UsageError("--filter: no cell is left to measure; widen it")
    return plans


def single_plan(scenario: str, point: str | None, target: Target, settings: Settings) -> Plan:
    """The plan of one point, which may be left out where there is but one. Raises UsageError."""
    chosen = one_point(scenario, point, target.device)
    (plan,) = plans_of([(scenario, [chosen], target)], CellFilter({}), settings)
    return plan


def states_of(names: Sequence[str], device: str) -> tuple[State, ...]:
    """The states by name, each once. Raises UsageError for one that is none, or that needs a GPU."""
    for name in names:
        check_choice("--state", name, get_args(State))
    if "behind" in names and device != "cuda":
        raise UsageError("--state behind queues work on a GPU, and there is none here; leave it out")
    return cast("tuple[State, ...]", tuple(dict.fromkeys(names)))


def _plans(
    name: str, points: Iterable[ScenarioPoint | SeamPoint], target: Target, cells: CellFilter, settings: Settings
) -> list[Plan]:
    model, dtype, device = target.model, target.dtype, target.device
    named = states_of(settings.states, device)
    first, *others = target.variants
    kept = [each for each in others if cells.keeps(variant=each.name)]
    references = {each.reference for each in kept} - {first.name}
    kept = [each for each in others if each in kept or each.name in references]
    if others and not kept:
        return []
    return [
        Plan(
            point,
            model,
            dtype,
            device,
            [first, *kept],
            settings.seed,
            settings.threads,
            named or (("churn",) if getattr(point, "calls", ()) else ("warm",)),
            settings.weights,
            settings.images,
            own_weights=target.own_weights,
        )
        for point in points
        if cells.keeps(scenario=name, point=point.label, model=model, dtype=dtype, device=device)
    ]
