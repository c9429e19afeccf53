"""`vlbench.count`: what towers ask of a GPU, counted without one."""

from collections.abc import Callable, Iterable, Iterator

from vlbench.api.arguments import Names, Towers, several, tower_names
from vlbench.api.defaults import Defaults, defaults
from vlbench.api.results import Counted, Verdicts
from vlbench.counting.job import CountJob, counted_points, refuse_variants_of_none
from vlbench.counting.run import Steps, run_count
from vlbench.errors import UsageError
from vlbench.export.progress import doing, watcher
from vlbench.gating.marks import Mark
from vlbench.record.base import Grid
from vlbench.record.counted import CountReport
from vlbench.revisions.over import count_over as over_revisions
from vlbench.towers.models import find_dtype
from vlbench.towers.preset_files import made_otherwise
from vlbench.towers.resolve import config_of

MODEL = "qwen2.5-vl-7b"
SCENARIO = "single-image"
DTYPE = "bfloat16"


def count(
    tower: Towers = None,
    *,
    variant: Names = None,
    scenario: str | None = None,
    grid: Names = None,
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    plan: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Counted:
    """Count device operations, attention calls, host syncs and copies of each `tower` at full size, without a GPU.

    One of our models stands for its reference tower and each `variant`, by default its presets. Fed in is `scenario`
    at its full size, or `grid`: texts such as "1x36x36", frames x rows x columns in patches. `gpu` is the GPU that is
    answered for, such as "sm_90", and `cudnn` its cuDNN, such as "9.15.1", whatever is installed. Counting happens in
    a process of its own; weights are not needed. A tower that could not be counted is a row with its reason, and
    `exit_code` is then 6. With `plan`, rows beside them have all that follows from the grids made before and handed in.

    What is left out is [tool.vlbench]'s of the nearest pyproject.toml, else ours.

    Raises UsageError for what cannot be had as asked, and for a tower whose module ends the counting process.
    """
    variants = None if variant is None else several(variant)
    job = count_job(tower, variants, scenario, several(grid), gpu, cudnn, dtype, plan=plan)
    with doing(f"counting {', '.join(job.towers)}", progress) as watch:
        return Counted(counted(job, watch.steps))


def count_over(
    over: str,
    tower: str | None = None,
    *,
    scenario: str | None = None,
    grid: Names = None,
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    progress: bool | Callable[[str], None] = True,
) -> Verdicts:
    """Which revisions of `over`, such as "v1.0..HEAD", changed a counter of `tower`, in the repository that one is in.

    Both ends are counted, and revisions between ends that differ. A row for the ends, which alone decides `exit_code`,
    and one for each revision that changed something. Raises UsageError for what cannot be had as asked.
    """
    job = count_job(tower, None, scenario, several(grid), gpu, cudnn, dtype)
    if len(job.towers) != 1:
        raise UsageError(f"--over counts one tower, and {len(job.towers)} are named; give one --tower")
    with watcher(progress) as watch:
        judged = over_revisions(
            over, job.towers[0], job.points, job.profile, job.cudnn, job.dtype, watch.announce, watch.steps
        )
    return Verdicts(judged)


def counted(job: CountJob, steps: Steps = lambda done, of: None) -> CountReport:
    """The report. Raises UsageError for a job that is refused, and where the process ended before it began to count."""
    try:
        return run_count(job, steps=steps)
    except RuntimeError as error:  # a tower's module can do that
        raise UsageError(f"tower {' and '.join(map(repr, job.towers))}: {error}") from None


def counted_otherwise(report: CountReport) -> list[str]:
    """About preset files among its towers that were chosen for something else: what is counted is a GPU's work."""
    return [
        note
        for group in report.groups
        for row in group.towers
        for note in preset_notes(row.tower, group.grids if not group.images else ())
    ]


def preset_notes(tower: str, grids: Iterable[Grid]) -> Iterator[str]:
    """The same of one tower that is counted on these grids."""
    config = config_of(tower)
    if config is not None:
        yield from made_otherwise([tower], "cuda", config.hidden_size, sum(t * h * w for t, h, w in grids))


def mark_job(mark: Mark, usual: Defaults) -> CountJob:
    """What a marker has counted; what it leaves out is `usual`, else ours. Raises UsageError."""
    scenario = None if mark.grids else mark.scenario or usual.scenario or SCENARIO
    gpu, cudnn = usual.answered_for(mark.profile, mark.cudnn)
    return count_job(mark.tower, [], scenario, list(mark.grids), gpu, cudnn, mark.dtype or DTYPE)


def count_job(
    tower: Towers,
    variants: list[str] | None,
    scenario: str | None,
    grids: list[str],
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    *,
    plan: bool = False,
) -> CountJob:
    """What is to be counted; what is left out is [tool.vlbench]'s, else ours. Raises UsageError."""
    if grids and scenario:
        raise UsageError("--grid takes the place of --scenario; give one of them")
    usual = defaults()
    profile, cudnn = usual.answered_for(gpu, cudnn)
    towers = tuple(dict.fromkeys(tower_names(tower or usual.tower or MODEL)))
    refuse_variants_of_none(towers, variants)
    return CountJob(
        towers=towers,
        variants=None if variants is None else tuple(variants),
        points=tuple(counted_points(scenario or usual.scenario or SCENARIO, grids)),
        profile=profile,
        cudnn=cudnn,
        dtype=find_dtype(dtype),
        plan=plan,
    )
