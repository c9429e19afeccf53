"""`vlbench.recommend`: which flags help on this device, model and shapes, and the smallest set that is as good."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from vlbench.api.arguments import File, Names, path_of, several
from vlbench.api.choosing import Screened, choose, compare, confirm_rows, found_flags, said_of
from vlbench.api.counting_flags import Counting, count_flags
from vlbench.api.defaults import defaults
from vlbench.api.measuring import Effort, measure
from vlbench.api.results import Recommended
from vlbench.api.running import SCENARIO
from vlbench.counting.job import counted_points, parse_grid
from vlbench.errors import UsageError
from vlbench.export.progress import Shown, doing, watcher
from vlbench.judging.flag_worth import why_wrong
from vlbench.judging.words import number_of
from vlbench.matrix.candidates import candidates
from vlbench.matrix.plan import CellFilter, Plan, Settings, plans_of, single_plan
from vlbench.matrix.targets import Target, model_target
from vlbench.predicting.at_scale import GPU
from vlbench.record.destinations import check_output
from vlbench.record.files import write_whole
from vlbench.record.preset_file import SUFFIX, PresetFile, preset_text
from vlbench.record.recommendation import Recommendation
from vlbench.record.schema import CellGroup
from vlbench.towers.models import DEFAULTS, find_dtype, find_model
from vlbench.trial.machine import fingerprint_of
from vlbench.workload.batch import grids_only
from vlbench.workload.scenario import Item, ScenarioPoint, complaint

BUDGETS = {"cpu": 600.0, "cuda": 120.0}
"""Seconds by kind of device. On CUDA a process takes a tenth of that to begin: enough for a look, not for a vote."""
TRIALS = {"cpu": 5, "cuda": 1}
"""Processes by kind of device that choose, and as many that confirm; one is followed by a second over what stands out.
"""
COUNTING, SCREENING = 0.25, {"cpu": 0.75, "cuda": 0.8}
"""Shares: of all of the time for counting, at most, and of the rest for looking at each flag."""
FULL_SIZE = DEFAULTS["cuda"][0]
"""Which model is counted where a CPU's default one is timed."""
NO_GPU = (
    "There is no GPU here, so nothing was timed: the set is chosen from counts, and times on one may say otherwise."
)


def recommend(
    scenario: str | None = None,
    *,
    grid: Names = None,
    point: str | None = None,
    model: str | None = None,
    start: str = "best",
    weights: File | None = None,
    device: str = "auto",
    dtype: str | None = None,
    counters: bool = True,
    gpu: Names = None,
    cudnn: str | None = None,
    seed: int = 0,
    threads: int = 1,
    trials: int | None = None,
    budget: float | None = None,
    timeout: float = 900,
    out: File | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Recommended:
    """Whether each flag helps on this device, model and shapes, and the smallest set within 1 % of the best.

    Fed in is one `point` of a `scenario`, or `grid`: texts such as "1x36x36". Started from is the preset `start`: each
    of its flags is left out, each other put in its place, flags that name each other are left out together, and every
    change is timed against the whole in shared rounds, by `trials` processes: five on a CPU; on CUDA one, and a second
    over what stands out. The set is then chosen, and is confirmed in processes that had no say in the choice.
    What each flag asks of a GPU is counted, too, unless `counters` is False, at full size, and its span is predicted on
    each `gpu`, such as "h100". With `device` "cuda" and no GPU counts are all there is. `budget` and `timeout` are
    seconds. `out` keeps the set as a preset file, which `variant=` takes wherever a preset is named.
    `exit_code` is 4 where the set was not confirmed, 5 where it is wrong, 6 where time or counts were lacking. Raises
    UsageError, KeyboardInterrupt on Ctrl-C.
    """
    check_preset_goal(goal := path_of(out), force=force)
    settings = Settings(seed, threads, weights=path_of(weights))
    timed = _is_here(device)
    if settings.weights and not timed:
        raise UsageError("--weights: without a GPU nothing is computed on --device cuda; leave them out")
    target = model_target(model, device, dtype, [start], settings.weights) if timed else _unmeasured(model, dtype)
    assert target.config is not None
    tried = candidates(target.config, target.device, start)
    fed = scenario or (None if grid else defaults().scenario or SCENARIO), several(grid)
    plan = replace(_plan(*fed, point, replace(target, variants=tried.rows), settings), stages=False)
    limit = _Limit(time.monotonic(), budget or BUDGETS[target.device])
    counting = None
    if counters or not timed:
        tiny = (target.default_model and target.device == "cpu") or settings.weights
        call = _Counted(FULL_SIZE if tiny else target.model, start, *fed, plan.point.label)
        gpus, answered = list(dict.fromkeys(several(gpu))) or [GPU], defaults().answered_for(None, cudnn)[1]
        counting = call.count(gpus, answered, limit.left(COUNTING if timed else 1.0), progress, alone=not timed)
    screened, fresh = Screened(tried, counting), None
    if timed:
        effort = Effort(trials or TRIALS[target.device], timeout=timeout, card=False, whole=limit.seconds)
        fresh = _timed(screened, plan, effort, limit, progress)
    found = _recommendation(screened, fresh, plan, start)
    if goal is not None:
        write_whole(goal, preset_text(found.preset))
        found = found.model_copy(update={"file": str(goal)})
    return Recommended(found)


def _timed(screened: Screened, plan: Plan, effort: Effort, limit: _Limit, progress: Shown) -> CellGroup:
    """Time each change, which `screened` then has; then the sets that follow from that, in fresh trials."""
    counting = screened.counting
    plan = replace(plan, variants=screened.tried.by_weight(counting.weights() if counting else {}))
    with watcher(progress) as watch:
        watch.announce(
            f"{number_of(len(plan.variants), 'row')} in {number_of(effort.trials, 'trial')}, then what is chosen in as "
            f"many: within {limit.left():.0f} s (--budget)"
        )
    screened.group, was_complete = _measured(plan, replace(effort, budget=limit.left(SCREENING[plan.device])), progress)
    again = replace(plan, variants=confirm_rows(screened))
    fresh, whole = _measured(again, replace(effort, budget=limit.left(), again=effort.trials > 1), progress)
    screened.complete, screened.budget = was_complete and whole, limit.seconds
    return fresh


@dataclass(frozen=True)
class _Limit:
    """When all has to be over."""

    began: float
    seconds: float

    def left(self, share: float = 1.0) -> float:
        """Seconds that are left, or a share of them; one at least."""
        return max(1.0, share * (self.began + self.seconds - time.monotonic()))


@dataclass(frozen=True)
class _Counted:
    """What is counted: which model, from which set, on which call."""

    model: str
    start: str
    scenario: str | None
    grids: list[str]
    label: str

    def count(self, boards: Sequence[str], cudnn: str, seconds: float, progress: Shown, *, alone: bool) -> Counting:
        """At full size: a point of a sweep that has another name on a CPU is the first.

        Raises UsageError where there was no time for any, and counts are `alone` what the set is chosen by.
        """
        points = counted_points(self.scenario or "", self.grids)
        point = next((each for each in points if each.label == self.label), points[0])
        told = f"counting what each flag asks of a GPU, on {self.model}, and predicting {', '.join(boards)}"
        with doing(told, progress) as watch:
            found = count_flags(self.model, self.start, point, boards, cudnn, "bfloat16", seconds, watch.steps)
        if alone and not found.moved and found.cut:
            raise UsageError(f"--budget: {next(iter(found.why_not.values()))}; give more time")
        return found


def check_preset_goal(path: Path | None, *, force: bool) -> None:
    """Raises UsageError where a preset file cannot be written there."""
    if path is None:
        return
    if path.suffix != SUFFIX:
        raise UsageError(f"--out {path}: a preset file is TOML, by whose ending it is known; name a {SUFFIX} file")
    if "+" in str(path) or ":" in str(path):
        raise UsageError(f"--out {path}: + and : part the names of variants and towers; choose a name without them")
    check_output(path, "--out", force=force)


def _is_here(device: str) -> bool:
    """Can it be timed here? A GPU that is not here can be counted for."""
    if device != "cuda":
        return True
    import torch

    return torch.cuda.is_available()


def _unmeasured(model: str | None, dtype: str | None) -> Target:
    """One of our models on a GPU that is not here."""
    config = find_model(model or FULL_SIZE)
    return Target(config.name, "cuda", find_dtype(dtype or DEFAULTS["cuda"][1]), [], config)


def _plan(scenario: str | None, grids: Sequence[str], point: str | None, target: Target, settings: Settings) -> Plan:
    """What is fed in. Raises UsageError."""
    if not grids:
        return single_plan(scenario or "", point, target, settings)
    (plan,) = plans_of([("grid", [_point(grids)], target)], CellFilter({}), settings)
    return plan


def _point(grids: Sequence[str]) -> ScenarioPoint:
    items = []
    for t, h, w in map(parse_grid, grids):
        frames = {"kind": "video", "frames": 2 * t} if t > 1 else {}
        try:
            items.append(Item.model_validate({"grid": f"{h}x{w}", **frames}))
        except ValidationError as error:
            raise UsageError(f"--grid {t}x{h}x{w}: {complaint(error, Item)}") from None
    return ScenarioPoint(scenario="grid", label="+".join(grids), source="noise", item=tuple(items))


def _measured(plan: Plan, effort: Effort, progress: Shown) -> tuple[CellGroup, bool]:
    results, interrupted = measure([plan], effort, "vlbench recommend", progress)
    if interrupted:
        raise KeyboardInterrupt
    return results.groups[0], results.complete


def _recommendation(screened: Screened, fresh: CellGroup | None, plan: Plan, start: str) -> Recommendation:
    tried, counting = screened.tried, screened.counting
    found, flags = choose(screened, fresh), found_flags(screened)
    here = fingerprint_of("cpu" if fresh is None else plan.device)
    compared = compare(fresh, found) if fresh else ()
    by = f"not measured: no time for the flags of {start}" if fresh else "chosen from counts, not measured on a GPU"
    found_as = counting.words.partition(",")[0] if counting else ""
    not_counted = counting.said() if counting else ""
    threads = f", {number_of(plan.threads, 'thread')}" if plan.device == "cpu" else ""
    if any(each.by == "time" for each in flags):
        by = f"measured on {here.gpu or here.cpu}{threads}"
    preset = PresetFile(
        flags=tuple(sorted(found.flags)),
        device=plan.device,
        model=plan.model,
        width=tried.config.hidden_size,
        dtype=plan.dtype,
        scenario=plan.point.scenario,
        point=plan.point.label,
        grids=grids_only(plan.point, plan.seed, tried.config.preprocessing),  # type: ignore[arg-type]  # no seam
        by=by,
        why={each.flag: each.in_words(found_as) for each in flags if each.effect != "not applicable"},
        figures={f"time of {each.name} / time of the set": each.figure() for each in compared},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=here,
    ).with_checksum()
    return Recommendation(
        preset=preset,
        start=start,
        chosen=found.chosen,
        left_out=tuple(sorted(tried.flags - found.flags)),
        added=tuple(sorted(found.flags - tried.flags)),
        flags=flags,
        together=screened.together(),
        compared=compared,
        said=(*said_of(found, tried, flags, compared, start), *filter(None, (not_counted, "" if fresh else NO_GPU))),
        not_predicted=counting.not_predicted if counting else {},
        counted_as=counting.words if counting and counting.moved else "",
        wrong=why_wrong(fresh, found.name) if fresh else "",
        complete=screened.complete and not (counting and counting.cut),
        needs=screened.needs(),
        confirmed=found.confirmed,
    )
