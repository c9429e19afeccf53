"""`vlbench profile`: where the time of one variant goes, once it passed its accuracy check."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlbench.cli.options import AsJson, DeviceOption, DtypeOption, Model, Seed, Threads, Weights, resolve
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from vlbench.trial.job import Job
    from vlbench.trial.single import Solo

INACCURATE = 5


@dataclass(frozen=True)
class Request:
    """What is to be profiled, and how."""

    solo: Solo
    forwards: int
    out: Path
    blocks: bool
    limit: int
    console: Console


def profile(
    tool: Annotated[
        str,
        typer.Option(help="stages: time and counts by stage; pyinstrument: Python's calls; torch: a trace."),
    ] = "stages",
    overhead: Annotated[bool, typer.Option(help="In place of a tool: what marking a stage costs.")] = False,
    scenario: Annotated[str, typer.Option(help="A shipped scenario or a .toml file.")] = "multi-image",
    point: Annotated[str | None, typer.Option(help="Which point of a sweep, such as count=4.")] = None,
    model: Model = None,
    variant: Annotated[str, typer.Option(help="A flag, a preset, or several joined by +.")] = "best",
    weights: Weights = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = None,
    seed: Seed = 0,
    threads: Threads = 1,
    forwards: Annotated[int, typer.Option(min=1, help="Forwards to profile, after warm ones.")] = 20,
    blocks: Annotated[bool, typer.Option(help="stages: show every block on its own.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="torch: rows of the longer tables.")] = 15,
    out: Annotated[Path, typer.Option(help="Folder for the files of pyinstrument and torch.")] = Path(
        "vlbench-profile"
    ),
    as_json: AsJson = False,
) -> None:
    """Say where the time of one variant goes: on the host, by operation, or by stage.

    Exit code 5 when the variant fails its accuracy check; it is not profiled then.
    """
    from rich.console import Console

    from vlbench.implementations.weights import CheckpointError
    from vlbench.trial.single import InaccurateError, check_alone

    if tool not in TOOLS:
        raise UsageError(f"--tool: {tool!r} is not one of {', '.join(TOOLS)}; choose one of them")
    if not out.is_dir() and any(each.exists() and not each.is_dir() for each in (out, *out.parents)):
        raise UsageError(f"--out {out}: a file is in the way; name a folder")
    job = _job(scenario, point, model, variant, weights, device, dtype, seed, threads)
    console = Console(quiet=as_json, highlight=False)
    try:
        solo = check_alone(job)
    except InaccurateError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(INACCURATE) from None
    except CheckpointError as error:
        raise UsageError(str(error)) from None
    console.print(f"{variant} of {job.model}, {job.dtype}, {job.device}: {solo.batch}", style="bold")
    chosen = _overhead if overhead else TOOLS[tool]
    found = chosen(Request(solo, forwards, out, blocks, limit, console))
    if as_json:
        about: dict[str, Any] = {"variant": variant, "model": job.model, "dtype": job.dtype, "device": job.device}
        about |= {"scenario": job.point.scenario, "point": job.point.label, "batch": solo.batch}
        about |= {"accuracy": solo.accuracy.model_dump(mode="json"), "forwards": forwards}
        print(json.dumps(about | {"overhead" if overhead else tool: found}, indent=1))


def _job(
    scenario: str,
    point: str | None,
    model: str | None,
    variant: str,
    weights: Path | None,
    device: str,
    dtype: str | None,
    seed: int,
    threads: int,
) -> Job:
    from vlbench.matrix.plan import Plan
    from vlbench.trial.job import job_of
    from vlbench.workload import load_scenario

    target = resolve(model, device, dtype, [variant])
    points = {each.label: each for each in load_scenario(scenario).points(target.device)}
    if point is None and len(points) > 1:
        raise UsageError(f"--scenario {scenario} has the points {', '.join(points)}; choose one with --point")
    if point is not None and point not in points:
        raise UsageError(f"--point: {scenario} has no point {point!r}; it has {', '.join(map(repr, points))}")
    chosen = points[point] if point is not None else next(iter(points.values()))
    plan = Plan(chosen, target.config.name, target.dtype, target.device, target.variants)
    job = job_of(plan, 0, 0)
    return job.model_copy(update={"weights": weights, "seed": seed, "threads": threads})


def _stages(request: Request) -> dict[str, Any]:
    from vlbench.profiling.breakdown import Breakdown, time_stages
    from vlbench.profiling.clock import EventClock, StageClock
    from vlbench.profiling.console import stage_table
    from vlbench.profiling.tally import without_block
    from vlbench.trial.counts import count_stages

    name_of = str if request.blocks else without_block
    call, forwards = request.solo.forward, request.forwards
    operations, attention = count_stages(call, name_of)
    host = time_stages(call, forwards, StageClock, name_of)
    gpu = time_stages(call, forwards, EventClock, name_of) if request.solo.on_cuda else None
    found = Breakdown(host, gpu, operations, attention)
    request.console.print(stage_table(found))
    if gpu is None:
        request.console.print("GPU: not measured.", style="dim")
    return found.to_dict()


def _pyinstrument(request: Request) -> dict[str, Any]:
    from vlbench.profiling.host import profile_host, tree, tree_as_data, write_profile

    session = profile_host(request.solo.forward, request.forwards)
    request.out.mkdir(parents=True, exist_ok=True)
    files = write_profile(session, request.out)
    if not request.console.quiet:
        print(tree(session, color=request.console.is_terminal))
    page, flame = files
    request.console.print(
        f"{page}: open it in a browser; {flame}: open it at https://www.speedscope.app", soft_wrap=True
    )
    return {"files": list(map(str, files)), "profile": tree_as_data(session)}


def _torch(request: Request) -> dict[str, Any]:
    from vlbench.nsys.console import print_report
    from vlbench.nsys.read import load
    from vlbench.nsys.report import build
    from vlbench.profiling.console import operator_table, range_table
    from vlbench.profiling.trace import record_trace

    request.out.mkdir(parents=True, exist_ok=True)
    file = request.out / "trace.json.gz"
    operators = record_trace(request.solo.forward, request.forwards, file, cuda=request.solo.on_cuda)
    report = build(load(file), "^:forward$", ":iteration")
    found: dict[str, Any] = {"files": [str(file)], "operators": [asdict(one) for one in operators]}
    if report.coverage["gpu_ops"]:
        print_report(report, request.console, request.limit)
        found["report"] = report.to_dict()
    else:
        # Without a GPU, the rest of the report would be zeros that nobody measured.
        ranges = [
            (str(name).removeprefix(":"), int(row["instances"]), row["range_ns"] * 1e-9)
            for name, row in report.ranges.iterrows()
        ]
        request.console.print(range_table(ranges))
        request.console.print("GPU: not measured.", style="dim")
        found |= {"ranges": [{"range": name, "instances": n, "seconds": s} for name, n, s in ranges], "report": None}
    request.console.print(operator_table(operators, request.limit))
    request.console.print(
        f"{file}: open it at https://ui.perfetto.dev, or read it with `vlbench nsys report`", soft_wrap=True
    )
    return found


def _overhead(request: Request) -> dict[str, Any]:
    from vlbench.profiling.console import overhead_table
    from vlbench.profiling.overhead import cost_of_a_stage, settings, stages_in, typical_seconds

    costs = {name: cost_of_a_stage(setting) for name, setting in settings(cuda=request.solo.on_cuda).items()}
    stages = stages_in(request.solo.forward)
    seconds = typical_seconds(request.solo.forward, request.forwards)
    request.console.print(overhead_table(costs, stages, seconds))
    return {"seconds_per_stage": costs, "stages": stages, "forward_seconds": seconds}


TOOLS = {"stages": _stages, "pyinstrument": _pyinstrument, "torch": _torch}
