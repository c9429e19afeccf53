"""The rows of a run, counted at the size of a released model as on an H100: what a GPU would be asked for."""

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from vlbench.api.measuring import Also, Counting
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import Steps, run_at_scale
from vlbench.counting_device.profiles import CUDNN
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, Family, VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.judging.words import number_of
from vlbench.matrix.plan import Plan
from vlbench.predicting.at_scale import GPU as BOARD, WORKER
from vlbench.record.at_scale import AtScale
from vlbench.record.preset_file import is_preset_file
from vlbench.record.schema import NO_FLAGS
from vlbench.towers.resolve import config_of
from vlbench.towers.variants import Variant
from vlbench.workload.batch import grids_only
from vlbench.workload.library import load_scenario
from vlbench.workload.scenario import ScenarioPoint

GPU, DTYPE = "sm_90", "bfloat16"
RELEASED: Mapping[Family, str] = {
    "qwen2_vl": "qwen2-vl-7b",
    "qwen2_5_vl": "qwen2.5-vl-7b",
    "qwen3_vl": "qwen3-vl-8b",
    "qwen3_5": "qwen3.5-9b",
}
"""What stands for a family's tiny towers."""
UNASKED = 180.0
"""Seconds for all of it where nobody asked for it, as the help of `vlbench run --counts` says."""


def at_scale(plans: Sequence[Plan], scenarios: Iterable[str], timeout: float, *, asked: bool = True) -> Also:
    """What makes of measured rows what counts them, each plan in a process of its own; None where there is no row.

    Points of these `scenarios` are counted at their full size, others as they are. A plan has `timeout` seconds; where
    it was not `asked` for, all of them have `UNASKED` together. Raises UsageError for seams.
    """
    found = [load_scenario(name) for name in scenarios]
    full = {(each.name, point.label): point for each in found for point in each.points("cuda")}
    jobs = {index: _job(plan, full) for index, plan in enumerate(plans)}
    within = timeout if asked else min(timeout, UNASKED)
    remedy = "give a larger `--timeout`" if asked else "`--counts` gives each point `--timeout` seconds"
    late = f"counting ended after {within:g} s; {remedy}, and `vlbench count --tower NAME` counts one row"

    def counting(rows: Sequence[Collection[str]]) -> Counting | None:
        wanted = {index: only for index, job in jobs.items() if (only := _only(job, rows[index]))[1]}
        many = sum(len(job.towers) for job, _, _ in wanted.values())
        models = ", ".join(dict.fromkeys(model for _, _, model in wanted.values()))

        def count(steps: Steps) -> dict[int, AtScale]:
            made, done, until = {}, 0, math.inf if asked else time.monotonic() + within
            for index, (job, names, model) in wanted.items():
                left = min(timeout, until - time.monotonic())
                (made[index],) = run_at_scale(job, names, model, left, _behind(done, many, steps), WORKER, late)
                done += len(job.towers)
            return made

        said = f"counting {number_of(many, 'row')} at {models} as on an H100"
        return (said if asked else f"{said}, for {within:g} s at most", count) if wanted else None

    return counting


def _only(found: tuple[CountJob, dict[str, str], str], rows: Collection[str]) -> tuple[CountJob, dict[str, str], str]:
    """The same of these rows alone."""
    job, names, model = found
    names = {name: tower for name, tower in names.items() if name in rows}
    return job.model_copy(update={"towers": tuple(dict.fromkeys(names.values()))}), names, model


def _behind(done: int, rows: int, steps: Steps) -> Steps:
    """What is told of the steps of one process, where others have `done` some of all `rows` before."""
    return lambda more, of: steps(done + more, rows)


def _job(plan: Plan, full: Mapping[tuple[str, str], ScenarioPoint]) -> tuple[CountJob, dict[str, str], str]:
    """The job, the tower of each row by its name, and the model."""
    if not isinstance(plan.point, ScenarioPoint):
        raise UsageError("--counts is about whole towers, and a seam alone is none; leave it out")
    config = config_of(plan.model)
    released = _released(config, anew=plan.weights is not None) if config else None
    names = {each.name: _text(each, released) for each in plan.variants if each.plan == "inside" and not each.slow_down}
    feed = full.get((plan.point.scenario, plan.point.label), plan.point)
    point = Point(scenario=feed.scenario, label=feed.label, feed=feed)
    if released:
        grids = grids_only(feed, plan.seed, MODELS[released].preprocessing)
        point = Point(scenario=feed.scenario, label=feed.label, grids=grids)
    towers = tuple(dict.fromkeys(names.values()))
    asked = {"profile": GPU, "cudnn": CUDNN, "boards": (BOARD,), "at_scale": True}
    job = CountJob(towers=towers, points=(point,), dtype=DTYPE, **asked)
    return job, names, released or plan.model


def _released(config: VisionConfig, *, anew: bool = False) -> str:
    """The model itself, in place of a tiny one, and of one that only this process knows, what stands for its family."""
    return RELEASED[config.family] if anew or config.name.endswith("-tiny") else config.name


def _text(variant: Variant, model: str | None) -> str:
    """The tower of a row at that size. A preset, or a file of one, is that of a GPU, whatever it is here."""
    if variant.tower:
        config = config_of(variant.tower)
        return variant.tower.replace(config.name, _released(config)) if config else variant.tower
    if variant.flags is None:
        return str(model)
    by_name = all(part in PRESETS or part in OPTIMIZATIONS or is_preset_file(part) for part in variant.name.split("+"))
    return f"{model}+{variant.name if by_name else '+'.join(variant.flags) or NO_FLAGS}"
