"""From the arguments of `vlbench_cell` to the job that a trial would do."""

from __future__ import annotations

from dataclasses import dataclass

from vlbench.cli.options import resolve
from vlbench.cli.towers import resolve_towers
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.matrix.plan import Plan
from vlbench.trial.job import Job, job_of
from vlbench.workload import load_scenario

THREADS = 1
"""Of torch on a CPU: one halves the noise."""


@dataclass(frozen=True)
class Wish:
    """What a test asks for, as `vlbench run` would be asked."""

    variant: str
    model: str | None
    scenario: str
    point: str | None
    dtype: str | None
    device: str
    seed: int


@dataclass(frozen=True)
class Cell:
    """A job of the yardstick, which comes first, and the variant to time, which comes last and may be the yardstick."""

    job: Job

    @property
    def variant(self) -> str:
        return self.job.variants[-1].name

    @property
    def name(self) -> str:
        """Such as "qwen2.5-vl-tiny best multi-image float32 cpu"."""
        job = self.job
        coordinates = (job.model, self.variant, job.point.scenario, job.point.label, job.dtype, job.device)
        return " ".join(filter(None, coordinates))


def find_cell(wish: Wish) -> Cell:
    """The cell that is wished for. Raises UsageError where there is none."""
    if wish.model is not None and wish.model not in MODELS:
        towers = list(dict.fromkeys([wish.model, wish.variant]))
        (target,) = resolve_towers(towers, wish.device, [wish.dtype], None)
        model, device, dtype, variants = target.model, target.device, target.dtype, target.variants
    else:
        ours = resolve(wish.model, wish.device, wish.dtype, [wish.variant])
        model, device, dtype, variants = ours.model, ours.device, ours.dtype, ours.variants
    points = {each.label: each for each in load_scenario(wish.scenario).points(device)}
    label = next(iter(points)) if wish.point is None and len(points) == 1 else wish.point
    if label not in points:
        raise UsageError(f"scenario {wish.scenario!r} has the points {', '.join(points)}; choose one with point=...")
    plan = Plan(points[label], model, dtype, device, variants, wish.seed, THREADS)
    return Cell(job_of(plan, 0, 0.0))
