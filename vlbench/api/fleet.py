"""`vlbench.fleet`: the parts of a plan as tasks of a Ray cluster, put together when all are back."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vlbench.api.arguments import File
from vlbench.api.fleet_parts import Parts, why_short
from vlbench.api.measured import Measured
from vlbench.api.planning import merge, plans_here
from vlbench.api.ray_tasks import RayTasks, Work, check_installed, connected
from vlbench.errors import IncomparableError, UsageError, check_folder_of
from vlbench.export.progress import Watcher, doing
from vlbench.matrix.shards import check_parts, shard_groups
from vlbench.record.destinations import free_output, reserved
from vlbench.record.files import read_results, write_results
from vlbench.record.plan_file import PlanLine, plan_text, read_plan
from vlbench.record.schema import Results
from vlbench.record.shards import PART, part_stem

FOLDER, MERGED = "vlbench-fleet", "merged.json"
"""Where no folder is named, and what all parts are together, in one results file beside them."""
BEAT, BEATS = 5.0, 8
"""Seconds between two signs of life of a task, and how many it gives at least within the time that it may be silent."""


def fleet(
    plan: File,
    ray: str,
    *,
    shards: int | None = None,
    cpus: int | None = None,
    tries: int = 3,
    silence: float = 120,
    timeout: float = 900,
    card: bool = True,
    send: bool = False,
    out: File | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Measured:
    """Run the parts of a `plan` as tasks of the Ray at the address `ray`, and put them together as `merge` does.

    Each of so many `shards`, by default one for each group, is what `run_plan` runs, on a GPU of its own or on as many
    `cpus` as the plan has threads. One that is lost, or gives no sign of life for `silence` seconds, is tried up to
    `tries` times in all. `send` gives each node a copy of the current folder. `out` is a new folder for the parts
    and `merged.json`; with `resume` the parts in it are kept and the others run, and with `force` all that are in
    it are removed first. Where this process is connected to Ray, that Ray is taken. Raises UsageError, and
    IncomparableError that names a line which never came back, or came twice with different counters; `notes` of the
    result say what was lost, slow or came twice. `timeout` is in seconds for a trial.
    """
    lines = read_plan(Path(plan))
    count = shards or lines[0].groups
    check_parts(f"--shards {count}", count, lines[0].groups)
    folder = _folder(out, resume=resume, force=force)
    every = [f"{number}/{count}" for number in range(1, count + 1)]
    there = _there(folder, count, lines[0].plan) if resume else []
    left = [shard for shard in every if shard not in there]
    notes: tuple[str, ...] = ()
    if left:
        check_installed()  # planning takes seconds
    _, asked = plans_here(Path(plan), lines, elsewhere=True)
    if left:
        work = Work(
            plan=plan_text(lines),
            options=("--timeout", f"{timeout:g}", *["--no-card"] * (not card)),
            folder=None if send else str(Path.cwd()),
            cpus=cpus or asked.threads,
            gpu=lines[0].needs.device == "cuda",
            beat=min(BEAT, silence / BEATS),
        )
        with doing(f"asking Ray at {ray}", progress) as watch, connected(ray, Path.cwd() if send else None):
            parts = _run(left, work, folder, watch, tries, silence, anew=force and not resume)
        _check_all_back(parts, lines, folder)
        notes = tuple(parts.notes)
    whole = merge(plan, [folder / _name(shard) for shard in every], out=folder / MERGED, force=True)
    return Measured(whole.record, whole.path, notes)


def _run(
    left: Sequence[str], work: Work, folder: Path, watch: Watcher, tries: int, silence: float, *, anew: bool
) -> Parts:
    """Run these parts, and keep each as it comes back; `anew` first removes what an earlier run left."""

    def keep(shard: str, results: Results) -> None:
        write_results(results, folder / _name(shard))

    tasks = RayTasks(work)
    _make(folder)
    with reserved(folder / MERGED, force=True):
        if anew:  # else --resume would take it for ours
            _clear(folder)
        parts = Parts(left, tasks, watch, keep, tries, silence)
        try:
            parts.run()
        except KeyboardInterrupt:
            watch.announce(f"interrupted: {folder} has {len(parts.back)} new parts; --resume runs what is left")
            raise
    return parts


def _folder(out: File | None, *, resume: bool, force: bool) -> Path:
    """Where parts are written. Raises UsageError where they cannot be, or something is there."""
    if out is None and resume:
        raise UsageError("--resume goes on with the parts in a folder; name it with --out")
    folder = free_output(FOLDER, "") if out is None else Path(out)
    check_folder_of(folder, f"--out {folder}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: a file; name a folder, for it holds a file of each part")
    if resume and not folder.is_dir():
        raise UsageError(f"--resume: there is no folder {folder} with parts to go on with; leave it out")
    if not (resume or force) and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"--out {folder}: not empty; --resume keeps its parts, --force replaces them, or name another")
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be made ({error.strerror}); choose another") from None


def _clear(folder: Path) -> None:
    """Remove the results that a fleet writes, and nothing else."""
    for path in list(folder.iterdir()):
        if path.is_file() and (path.name == MERGED or PART.fullmatch(path.name)):
            path.unlink()


def _name(shard: str) -> str:
    return f"{part_stem(shard)}.json"


def _there(folder: Path, count: int, plan: str) -> list[str]:
    """The parts that a folder has whole. Raises UsageError for a file that is none, or of another fleet."""
    found = []
    for path in sorted(folder.iterdir()):
        if not (match := PART.fullmatch(path.name)):
            continue
        if int(match[2]) != count:
            raise UsageError(f"--resume: {path} is one of {match[2]} parts, not of {count}; give --shards {match[2]}")
        results = read_results(path)
        if [shard.plan for shard in results.shards] != [plan]:
            raise UsageError(f"--resume: {path} is no part of this plan; name the folder that has its parts")
        found += [] if why_short(results) else [f"{match[1]}/{match[2]}"]
    return found


def _check_all_back(parts: Parts, lines: Sequence[PlanLine], folder: Path) -> None:
    """Raises IncomparableError, which names the first line that is not back, and why."""
    reasons = {
        group: f"shard {shard} was given up after {parts.tries_of(shard)}, the last of which was lost: {reason}"
        for shard, reason in parts.given_up.items()
        for group in shard_groups(shard, lines[0].groups)
    }
    if lost := [line for line in lines if line.group in reasons]:
        more = f", and {len(lost) - 1} more," if len(lost) > 1 else ""
        told = f"{lost[0].named}{more} never came back ({reasons[lost[0].group]})"
        raise IncomparableError(f"{told}; the same command with --out {folder} --resume runs what is left")
