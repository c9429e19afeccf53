"""From the arguments of `vlbench_cell` to the job that a trial would do."""

from __future__ import annotations

from dataclasses import dataclass

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.matrix.single import single_plan
from vlbench.matrix.targets import model_target, tower_targets
from vlbench.trial.job import Job, job_of
from vlbench.workload.library import load_scenario

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
        (target,) = tower_targets(towers, wish.device, [wish.dtype], None)
    else:
        target = model_target(wish.model, wish.device, wish.dtype, [wish.variant])
    points = [each.label for each in load_scenario(wish.scenario).points(target.device)]
    if wish.point not in points and (wish.point is not None or len(points) > 1):
        raise UsageError(f"scenario {wish.scenario!r} has the points {', '.join(points)}; choose one with point=...")
    plan = single_plan(wish.scenario, wish.point, target, seed=wish.seed, threads=THREADS)
    return Cell(job_of(plan, 0, 0.0))
