"""`vlbench.judge_patch`: one verdict, one reason and a reward for a patch."""

from collections.abc import Callable
from dataclasses import dataclass

from vlbench.api.arguments import File, Names, several
from vlbench.api.counts import DTYPE, count_job
from vlbench.api.defaults import defaults
from vlbench.api.results import Result, Rows
from vlbench.errors import UsageError
from vlbench.export.progress import watcher
from vlbench.judging.exit_codes import ExitCode
from vlbench.patches.judge import PatchRequest, judge
from vlbench.patches.judged import PatchJudged
from vlbench.process.git import commit_of
from vlbench.revisions.request import Request


@dataclass(frozen=True, repr=False)
class JudgedPatch(Result):
    """The judgement of a patch."""

    record: PatchJudged

    @property
    def title(self) -> str:
        """What it is, in one line."""
        found = self.record
        return f"{found.judged.after} on {found.judged.before}: {found.verdict}, {found.reason}, {found.reward:.2f}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return self.record.exit_code

    def _rows(self) -> Rows:
        return [row.model_dump(include={"cell", "measure", "verdict", "reason"}) for row in self.record.judged.rows]


def judge_patch(
    base: str,
    patch: File,
    *,
    tower: str | None = None,
    scenario: str | None = None,
    grid: Names = None,
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    seed: int | None = None,
    times: bool = False,
    trials: int = 5,
    budget: float = 40,
    timeout: float = 300,
    progress: bool | Callable[[str], None] = True,
) -> JudgedPatch:
    """Judge `patch`, a file with a unified diff or a revision, of `base` in the repository of the current folder.

    Its result comes first, held against that of `base` on the same weights, on grids and contents that are drawn after
    the patch was read, or from `seed`. Then its counters on `scenario` or `grid` at full size and, with `times`, pairs
    of processes in lock-step on `scenario`, for `budget` seconds at most. `timeout` is that of each other process.

    `record` has `verdict`, `reason` (a code of docs/judge-patch.md) and `reward`, from 0 to 1. Raises UsageError for
    what is neither a file nor a revision, and for a tower that `base` does not have.
    """
    job = count_job(tower, None, scenario, several(grid), gpu, cudnn, dtype)
    if len(job.towers) != 1:
        raise UsageError(f"one tower is judged, and {len(job.towers)} are named; give one --tower")
    commit = commit_of(base) if base != "." else None
    usual = defaults(commit=commit) if commit else defaults()
    request = Request(
        towers=job.towers,
        scenarios=(scenario,) if scenario else tuple(dict.fromkeys(point.scenario for point in job.points)),
        device="cpu",
        dtype="float32",
        counted_dtype=job.dtype,
        profile=job.profile,
        counters=True,
        exactness="reassociated",
        cudnn=job.cudnn,
        trials=trials,
        budget=budget,
        timeout=timeout,
    )
    asked = PatchRequest(request, job.points, usual.baselines, seed, times)
    with watcher(progress) as watch:
        return JudgedPatch(judge(base, str(patch), asked, watch, watch.say))
