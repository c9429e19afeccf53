"""From a matrix to results: one trial per cell group, its events gathered into a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlbench.matrix.variants import Variant
from vlbench.record.schema import CellGroup, Device, Dtype, VariantResult
from vlbench.trial.job import Checked, Event, Job, Prepared, Round, Stages, Starting, VariantJob
from vlbench.trial.supervisor import TrialError, run_trial
from vlbench.workload.scenario import ScenarioPoint


@dataclass(frozen=True)
class Plan:
    """What to measure: one cell group."""

    point: ScenarioPoint
    model: str
    dtype: Dtype
    device: Device
    variants: Sequence[Variant]
    seconds: float
    seed: int = 0
    threads: int = 1
    weights: Path | None = None
    images: tuple[Path, ...] | None = None
    also_check: tuple[ScenarioPoint, ...] = ()

    def job(self, without: frozenset[str] = frozenset()) -> Job:
        variants = tuple(
            VariantJob(name=variant.name, flags=variant.flags, exactness=str(variant.exactness))
            for variant in self.variants
            if variant.name not in without
        )
        return Job(
            model=self.model,
            dtype=self.dtype,
            device=self.device,
            threads=self.threads,
            seed=self.seed,
            weights=self.weights,
            point=self.point,
            also_check=self.also_check,
            images=self.images,
            variants=variants,
            seconds=self.seconds,
        )


@dataclass
class Progress:
    """What a running trial has shown so far."""

    plan: Plan
    prepared: Prepared | None = None
    current: str | None = None
    checked: dict[str, Checked] = field(default_factory=dict)
    rounds: list[dict[str, float]] = field(default_factory=list)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    died: dict[str, str] = field(default_factory=dict)
    """Variants that ended their process, and how."""

    def take(self, event: Event) -> None:
        match event:
            case Prepared():
                self.prepared = event
            case Starting():
                self.current = event.variant
            case Checked():
                self.checked[event.variant] = event
            case Round():
                self.rounds.append(event.seconds)
            case Stages():
                self.stages[event.variant] = event.seconds

    def restart(self) -> None:
        """Forget a trial that died, but not who ended it."""
        self.checked, self.rounds, self.stages, self.current = {}, [], {}, None


def measure(plan: Plan, watch: Callable[[Progress], None] = lambda progress: None) -> CellGroup:
    """Run the plan's trial and gather its record.

    A variant that ends its process is struck and the trial repeated without it; the row says why. Raises UsageError
    for what the user has to mend, TrialError when the yardstick itself ends the process.
    """
    progress = Progress(plan)
    for _ in plan.variants:
        try:
            for event in run_trial(plan.job(frozenset(progress.died))):
                progress.take(event)
                watch(progress)
            break
        except TrialError as death:
            if death.variant is None or death.variant == plan.variants[0].name or progress.rounds:
                raise
            progress.died[death.variant] = death.reason
            progress.restart()
    return _gather(progress)


def _gather(progress: Progress) -> CellGroup:
    plan, prepared = progress.plan, progress.prepared
    assert prepared is not None  # every trial that ends well has said so
    return CellGroup(
        scenario=plan.point.scenario,
        point=plan.point.label,
        model=plan.model,
        dtype=plan.dtype,
        device=plan.device,
        batch=prepared.batch,
        grids=prepared.grids,
        why_scaled=plan.point.why_scaled,
        weights=str(plan.weights or "random"),
        seed=plan.seed,
        threads=plan.threads,
        variants=tuple(_row(progress, variant) for variant in plan.variants),
    )


def _row(progress: Progress, variant: Variant) -> VariantResult:
    checked = progress.checked.get(variant.name)
    seconds = tuple(times[variant.name] for times in progress.rounds if variant.name in times)
    reason = None
    if not seconds:
        failed = checked.accuracy.reason if checked and not checked.accuracy.passed else None
        reason = progress.died.get(variant.name) or failed or "no time was given to measure"
    return VariantResult(
        name=variant.name,
        flags=variant.flags,
        left_out=variant.left_out,
        accuracy=checked.accuracy if checked else None,
        counts=checked.counts if checked else None,
        stages=progress.stages.get(variant.name, {}),
        seconds=seconds,
        not_measured=reason,
    )
