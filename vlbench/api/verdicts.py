"""`vlbench.compare`, `vlbench.gate` and `vlbench.judge`: two sides held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from os import PathLike
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Union

from vlbench.api.arguments import File, Names, path_of, paths, several
from vlbench.api.counts import preset_notes
from vlbench.api.defaults import Defaults, defaults
from vlbench.api.markers import marker_rows
from vlbench.api.results import Counted, Stored, Verdicts
from vlbench.comparing.counted_cells import CountResult
from vlbench.counting.run import Steps
from vlbench.errors import IncomparableError, UsageError, check_choice, resolved
from vlbench.export.progress import doing
from vlbench.gating import Times
from vlbench.gating.acceptance import propose
from vlbench.gating.accuracy import Outcomes, count_and_check
from vlbench.gating.base import LEFT_OUT, Base, base_of
from vlbench.gating.report import report, unjudged
from vlbench.gating.required import Required, by_base, by_manifest
from vlbench.gating.run import gate as judge_baselines, read_captures
from vlbench.gating.timed import GateResult, here_for
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.words import number_of, parse_share
from vlbench.process.git import UnreadError
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import proposal_path, write_baseline
from vlbench.record.destinations import check_output
from vlbench.record.directions import Better
from vlbench.revisions.checkouts import checked_out

if TYPE_CHECKING:
    from vlbench.api.measured import Measured

Side = Union[File, "Measured", Counted, Stored]
"""A file or a pattern of files, or what a function of this API gave."""


def compare(before: Side, after: Side, *, allow_inconclusive: bool = False) -> Verdicts:
    """Hold `after` against `before`: results of `run`, baselines, counts, captures, or results of other tools.

    Counts are compared exactly; times by a vote of their trials, five a side, and only within a class of machine. A
    pattern such as "old-*.json" may stand for several runs of another tool. Raises UsageError for a file that cannot be
    read, and IncomparableError where the two have nothing in common.

    Counts of one tower each are held against each other whatever the towers are called.
    """
    from vlbench.comparing.compared import (
        compare as compare_sides,  # it imports scipy, which counts do not need
        compare_towers,
    )

    if isinstance(before, Counted) and isinstance(after, Counted):
        names = [list(each.record.names) for each in (before, after)]
        if [len(each) for each in names] == [1, 1] and names[0] != names[1]:
            (old_name,), (new_name,) = names
            made = compare_towers(
                before.record, old_name, new_name, after.record, allow_inconclusive=allow_inconclusive
            )
            return Verdicts(made)
    old, new = (Path(each) if isinstance(each, PathLike | str) else each.record for each in (before, after))
    return Verdicts(compare_sides(old, new, allow_inconclusive=allow_inconclusive))


def gate(
    baseline: File | Iterable[File] | None = None,
    *,
    base: str | None = None,
    first: bool = False,
    no_accept: bool = False,
    report_only: bool = False,
    capture: File | Iterable[File] | None = None,
    times: str = Times.AUTO,
    allow_inconclusive: bool = False,
    out: File | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Verdicts:
    """Measure again what the baseline files hold, by default all of results/baselines, and judge what moved.

    With `base`, a branch or another revision, what must be judged and by how much it may differ is what its merge base
    with HEAD holds. What a change accepted itself is then its first row, and fails where `no_accept` says so; `first`
    is for the change that brings the first baseline. `report_only` ends with 0 whatever was found.

    `capture` are new captures for stored ones of the same name. `times` is "auto" (judged on the class of machine that
    they are from), "require", "advisory" or "never". Where figures moved, a proposal is written beside the baseline, or
    to `out`, which `force` lets replace what is there. A gate fails where `exit_code` is not 0:
    3 regressed, 4 inconclusive, 5 inaccurate, 6 missing.

    Raises UsageError for a wrong argument, IncomparableError for a baseline that cannot be gated on.
    """
    start = perf_counter()
    check_choice("--times", times, Times)
    policy = Times(times)
    try:
        required = _required(paths(baseline), base, first, not no_accept)
    except IncomparableError as error:
        if not report_only:
            raise
        return Verdicts(unjudged(str(error)))
    baselines = {path: each for path, each in required.baselines.items() if each.cells}
    goal = path_of(out)
    if goal is not None:
        _check_out(goal, list(required.baselines), force)
    captured = read_captures(baselines.values(), paths(capture))
    timed = policy is not Times.NEVER and any(each.timed for each in baselines.values())
    if timed:
        Thread(target=_import_what_times_need).start()  # three seconds, in which other processes count
    cells = number_of(sum(len(each.counted) for each in baselines.values()), "cell")
    with doing(f"checking and counting {cells}", progress) as watch:
        counted, checked = _counted_and_checked(list(baselines.values()), required.base, watch.steps)
        found = required.settle(judge_baselines(baselines, counted, captured, policy, watch, checked))
    written = _write_proposals(required, found, goal)
    judged = report(required, found, written, allow_inconclusive=allow_inconclusive, enforced=not report_only)
    counted_cells = [cell for each in baselines.values() for cell in each.counted]
    notes = [note for cell in counted_cells for note in preset_notes(cell.tower, cell.grids)]
    told = (*judged.notes, *dict.fromkeys(notes))
    return Verdicts(judged.model_copy(update={"seconds": perf_counter() - start, "notes": told}))


def _counted_and_checked(
    baselines: list[Baseline], base: Base | None, steps: Steps
) -> tuple[list[dict[str, CountResult]], list[Outcomes]]:
    """What `count_and_check` finds; with a base, towers whose weights changed are handed those of its files."""
    if base is None or not any(each.outputs for each in baselines):
        return count_and_check(baselines, steps=steps)
    with checked_out([base.commit]) as (there,):
        return count_and_check(baselines, str(there.here), steps)


def _required(files: list[Path], name: str | None, first: bool, accepts: bool) -> Required:
    """What must be judged. Raises UsageError, IncomparableError."""
    here = defaults()
    if name is None:
        if first or not accepts:
            raise UsageError("--first and --no-accept belong to --base; say which revision is the base")
        return by_manifest(files, Path(here.baselines))
    found = base_of(name)
    try:
        there = defaults(commit=found.commit)
    except UnreadError:
        raise
    except UsageError as error:
        if not first:
            raise IncomparableError(f"{found.words}: {error}; {LEFT_OUT}") from None
        there = Defaults(baselines=here.baselines)
    folders = Path(there.baselines), Path(here.baselines)
    required = by_base(found, files, folders, first=first, accepts=accepts)
    if marked := marker_rows(found, there, accepts=accepts):
        required = replace(required, rows={**required.rows, Path("markers"): marked})
    if here != there:
        changed = [name for name in vars(there) if getattr(here, name) != getattr(there, name)]
        note = f"[tool.vlbench] {', '.join(changed)}: judged by what {found.words} says, not by what the change does"
        required = replace(required, notes=(*required.notes, note))
    return required


def judge(
    before: Names,
    after: Names,
    *,
    reader: str | None = None,
    metric: Names = None,
    compare: Names = None,
    higher_is_better: Names = None,
    lower_is_better: Names = None,
    threshold: str = "5%",
    floor: str = "1%",
    confidence: str = "99%",
    allow_inconclusive: bool = False,
) -> Verdicts:
    """Judge results of other benchmark tools before and after a change: a row per metric, with verdict and reason.

    Each side is files or patterns, three runs or more. `reader` names their format, which is found out by default;
    `metric` are patterns of the metrics to judge, and `compare` the conditions that are what is compared, such as
    "backend": these alone may differ. Whether more is better follows from whole words of a metric's name
    and unit, or is said by `higher_is_better` and `lower_is_better`. Shares are texts such as "5%" or "0.05": `floor`
    is the change that counts, `threshold` the one that must not go unseen, `confidence` that of the interval. Raises
    UsageError.
    """
    from vlbench.comparing.compared import compare_runs_of

    floors = RunFloors(
        relative=parse_share(str(floor), "--floor"),
        threshold=parse_share(str(threshold), "--threshold"),
        confidence=parse_share(str(confidence), "--confidence"),
    )
    judged = compare_runs_of(
        several(before),
        several(after),
        floors=floors,
        reader=reader,
        metrics=several(metric),
        compared=several(compare),
        options=("--before", "--after"),
        better=_directions(several(higher_is_better), several(lower_is_better)),
        allow_inconclusive=allow_inconclusive,
    )
    return Verdicts(judged, floors)


def _directions(higher: Sequence[str], lower: Sequence[str]) -> dict[str, Better]:
    if both := set(higher) & set(lower):
        raise UsageError(
            f"{min(both)!r} cannot be better both ways; give it to one of --higher-is-better, --lower-is-better"
        )
    return dict.fromkeys(higher, Better.HIGHER) | dict.fromkeys(lower, Better.LOWER)


def _import_what_times_need() -> None:
    for name in ("torch", "scipy.stats"):
        import_module(name)


def _check_out(out: Path, baselines: list[Path], force: bool) -> None:
    """Raises UsageError where `out` cannot be the proposal for the one baseline."""
    if len(baselines) > 1:
        raise UsageError(f"--out {out}: one file cannot stand for {len(baselines)} baselines; name one with --baseline")
    if resolved(out, f"--out {out}") == resolved(baselines[0], str(baselines[0])):
        raise UsageError(f"--out {out}: that is the baseline itself, which changes when somebody accepts; name another")
    check_output(out, "--out", force=force)


def _write_proposals(required: Required, found: Mapping[Path, GateResult], out: Path | None) -> dict[Path, Path]:
    """For each baseline of which figures moved, the file that would accept them."""
    written = {}
    for path, each in found.items():
        if each.moved and (stored := required.proposable(path)) is not None:
            written[path] = out or proposal_path(path)
            write_baseline(propose(stored, each.cells, here_for(stored)), written[path])
    return written
