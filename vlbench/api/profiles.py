"""`vlbench.profile`: where the time of one variant goes, in this process, once it passed its accuracy check."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from vlbench.api.arguments import File, TowerLike, path_of, tower_names
from vlbench.api.defaults import defaults
from vlbench.api.results import Profiled
from vlbench.api.running import SCENARIO
from vlbench.errors import UsageError, check_choice
from vlbench.export.progress import WORTH_SAYING, Watcher, doing
from vlbench.export.sheet import Part, Words
from vlbench.judging.words import number_of
from vlbench.matrix.plan import Settings, single_plan
from vlbench.matrix.targets import Target, beside_reference, model_target, tower_targets
from vlbench.record.destinations import check_folder, check_output, free_output
from vlbench.trial.job import job_of
from vlbench.trial.single import InaccurateError as InaccurateError, WarmVariant, check_alone

NO_GPU = Words("GPU: not measured.", "dim")
NO_STAGES = Words("It marks no stages; vlbench.Tower(stages={module: stage}) says which of its modules are one.", "dim")


@dataclass(frozen=True)
class Request:
    """What is to be profiled, and how."""

    warm: WarmVariant
    forwards: int
    out: Path
    blocks: bool


@dataclass(frozen=True)
class ToolResult:
    """What a tool found."""

    parts: Callable[[int], Sequence[Part]]
    """What is shown, with so many rows of the longer tables."""
    document: dict[str, Any]


def profile(
    tool: str = "stages",
    *,
    scenario: str | None = None,
    point: str | None = None,
    model: str | None = None,
    variant: str = "best",
    tower: TowerLike | None = None,
    weights: File | None = None,
    device: str = "auto",
    dtype: str | None = None,
    seed: int = 0,
    threads: int = 1,
    forwards: int = 20,
    blocks: bool = False,
    overhead: bool = False,
    out: File | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Profiled:
    """Say where the time of `variant` goes, over `forwards` warm forwards in this process, after its accuracy check.

    Or that of `tower`, which is held against the reference tower of its model, where that is known.

    `tool` is "stages" (time and counts by stage; with `blocks` each block on its own), "pyinstrument" (Python's calls),
    "torch" (a trace with operations and ranges); with `overhead` it is what marking a stage costs. Files go to the
    folder `out`, by default a new one, and replace none without `force`. `point` is one of the scenario's, where that
    has several.

    Raises InaccurateError, and profiles nothing, where the variant is wrong; UsageError for what cannot be had.
    """
    from vlbench.implementations.weights import CheckpointError

    check_choice("--tool", tool, TOOLS)
    folder = Path(out) if out else free_output("vlbench-profile", "")
    check_folder(folder, f"--out {folder}")
    for name in FILES.get(tool, ()) if folder.is_dir() and not overhead else ():
        check_output(folder / name, "--out", force=force)
    target = _target(model, variant, tower_names(tower), device, dtype, path_of(weights))
    settings = Settings(seed, threads, weights=path_of(weights))
    plan = single_plan(scenario or defaults().scenario or SCENARIO, point, target, settings)
    name, fed = plan.variants[-1].name, plan.point.scenario
    try:
        with doing(f"checking {name} on {fed} before it is profiled", progress) as watch:
            warm = check_alone(job_of(plan, 0, 0))
            _estimate(warm, forwards, watch)
    except CheckpointError as error:
        raise UsageError(str(error)) from None
    found = (_overhead if overhead else TOOLS[tool])(Request(warm, forwards, folder, blocks))
    about: dict[str, Any] = {"variant": name, "model": plan.model, "dtype": plan.dtype, "device": plan.device}
    about |= {"scenario": fed, "point": plan.point.label, "batch": warm.batch}
    about |= {"accuracy": warm.accuracy.model_dump(mode="json"), "forwards": forwards}
    return Profiled(about | {"overhead" if overhead else tool: found.document}, found.parts)


def _target(
    model: str | None, variant: str, towers: list[str], device: str, dtype: str | None, weights: Path | None
) -> Target:
    """One of our models with the variant, or a tower with what it is held against. Raises UsageError."""
    if not towers:
        return model_target(model, device, dtype, [variant], weights)
    if model or variant != "best":
        raise UsageError("--model and --variant choose among our own towers; leave them out beside --tower")
    return tower_targets(beside_reference(towers), device, [dtype], None)[0]


def _estimate(warm: WarmVariant, forwards: int, watch: Watcher) -> None:
    """Say how long the forwards to come take, where that is worth saying."""
    start = perf_counter()
    warm.forward()
    if (seconds := forwards * (perf_counter() - start)) >= WORTH_SAYING:
        watch.announce(
            f"{number_of(forwards, 'forward')}: about {seconds:.0f} s, and longer where a tool looks at each call"
        )


def _stages(request: Request) -> ToolResult:
    from vlbench.export.profiled import stage_table
    from vlbench.profiling.clock import Breakdown, EventClock, StageClock, time_stages
    from vlbench.profiling.tally import without_block
    from vlbench.trial.counts import count_stages

    name_of = str if request.blocks else without_block
    call, forwards = request.warm.forward, request.forwards
    operations, attention = count_stages(call, name_of)
    host = time_stages(call, forwards, StageClock, name_of)
    gpu = time_stages(call, forwards, EventClock, name_of) if request.warm.on_cuda else None
    found = Breakdown(host, gpu, operations, attention)
    parts: list[Part] = [
        stage_table(found),
        *([NO_GPU] if gpu is None else []),
        *([NO_STAGES] if len(host) < 2 else []),
    ]
    return ToolResult(lambda limit: parts, found.to_dict())


def _pyinstrument(request: Request) -> ToolResult:
    from vlbench.profiling.host import profile_host, tree, tree_as_data, write_profile

    session = profile_host(request.warm.forward, request.forwards)
    request.out.mkdir(parents=True, exist_ok=True)
    files = write_profile(session, request.out)
    page, flame = files
    where = f"{page}: open it in a browser; {flame}: open it at https://www.speedscope.app"
    parts: list[Part] = [Words(tree(session, color=True), "ansi"), Words(where, "ansi")]
    return ToolResult(lambda limit: parts, {"files": list(map(str, files)), "profile": tree_as_data(session)})


def _torch(request: Request) -> ToolResult:
    from vlbench.export.captured import report_parts
    from vlbench.export.profiled import operator_table, range_table
    from vlbench.nsys.read import load
    from vlbench.nsys.report import build
    from vlbench.profiling.trace import record_trace

    request.out.mkdir(parents=True, exist_ok=True)
    file = request.out / "trace.json.gz"
    operators = record_trace(request.warm.forward, request.forwards, file, cuda=request.warm.on_cuda)
    report = build(load(file), "^:forward$", ":iteration")
    found: dict[str, Any] = {"files": [str(file)], "operators": [asdict(one) for one in operators]}
    parts: list[Part] = []
    if on_gpu := bool(report.coverage["gpu_ops"]):
        found["report"] = report.to_dict()
    else:
        # Without a GPU, the rest of the report would be zeros that nobody measured.
        ranges = [
            (str(name).removeprefix(":"), int(row["instances"]), row["range_ns"] * 1e-9)
            for name, row in report.ranges.iterrows()
        ]
        parts = [range_table(ranges), NO_GPU]
        found |= {"ranges": [{"range": name, "instances": n, "seconds": s} for name, n, s in ranges], "report": None}
    where = f"{file}: open it at https://ui.perfetto.dev, or read it with `vlbench nsys report`"

    def shown(limit: int) -> list[Part]:
        first = list(report_parts(report, limit)) if on_gpu else parts
        return [*first, operator_table(operators, limit), Words(where, "ansi")]

    return ToolResult(shown, found)


def _overhead(request: Request) -> ToolResult:
    from vlbench.export.profiled import overhead_table
    from vlbench.profiling.overhead import cost_of_a_stage, settings, stages_in, typical_seconds

    costs = {name: cost_of_a_stage(setting) for name, setting in settings(cuda=request.warm.on_cuda).items()}
    stages = stages_in(request.warm.forward)
    seconds = typical_seconds(request.warm.forward, request.forwards)
    document = {"seconds_per_stage": costs, "stages": stages, "forward_seconds": seconds}
    return ToolResult(lambda limit: [overhead_table(costs, stages, seconds)], document)


FILES = {"pyinstrument": ("host.html", "host.speedscope.json"), "torch": ("trace.json.gz",)}
"""What the tools write into the folder."""
TOOLS = {"stages": _stages, "pyinstrument": _pyinstrument, "torch": _torch}
