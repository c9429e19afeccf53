"""`vlbench gate`: everything that the stored baselines hold, measured again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.gate_init import init
from vlbench.cli.reporting import AllowInconclusive, reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, compared
from vlbench.gating.policy import Times

if TYPE_CHECKING:
    from vlbench.gating.run import Found
    from vlbench.record.baseline import Baseline

app = typer.Typer(invoke_without_command=True)
app.command()(init)


@app.callback()
@reports()
def gate(
    context: typer.Context,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="A baseline file; repeatable. [every one in results/baselines]")
    ] = None,
    capture: Annotated[
        list[Path] | None, typer.Option(help="A new capture, for the stored one of the same name; repeatable.")
    ] = None,
    times: Annotated[
        Times,
        typer.Option(
            help="Stored times: auto judges them on the class of machine that they are from, require fails on another, "
            "advisory only shows them, never leaves them out."
        ),
    ] = Times.AUTO,
    allow_inconclusive: AllowInconclusive = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the new file, if figures moved. [beside it, .proposed.json]")
    ] = None,
) -> Sheet | None:
    """Measure again what the baselines hold, and fail where anything got worse.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.
    """
    from time import perf_counter

    from rich.console import Console

    from vlbench.export.progress import Watcher
    from vlbench.export.words import cells
    from vlbench.gating.counters import count_again
    from vlbench.gating.report import report
    from vlbench.gating.run import gate as judge
    from vlbench.gating.run import read_captures
    from vlbench.record.baseline_files import find_baselines, read_baseline

    if context.invoked_subcommand is not None:
        return None
    start = perf_counter()
    paths = list(dict.fromkeys(baseline or find_baselines()))
    if out is not None:
        check_out(out, paths)
    baselines = {path: read_baseline(path) for path in paths}
    captured = read_captures(baselines.values(), capture or ())
    console = Console(stderr=True)
    if any(each.timed for each in baselines.values()) and times is not Times.NEVER:
        Thread(target=_import_what_times_need).start()  # three seconds, in which other processes count
    with console.status(f"counting {cells(sum(len(each.counted) for each in baselines.values()))}"):
        counted = count_again(baselines.values())
    with Watcher(console) if any(each.timed for each in baselines.values()) else nullcontext() as watch:
        found = judge(baselines, counted, captured, times, watch)
    written = write_proposals(baselines, found, out)
    seconds = perf_counter() - start
    judged = report(baselines, found, written, seconds=seconds, allow_inconclusive=allow_inconclusive)
    return compared(judged)


def _import_what_times_need() -> None:
    for name in ("torch", "scipy.stats"):
        import_module(name)


def check_out(out: Path, baselines: list[Path]) -> None:
    """Raises UsageError where `out` cannot be the proposal for the one baseline."""
    if len(baselines) > 1:
        raise UsageError(f"--out {out}: one file cannot stand for {len(baselines)} baselines; name one with --baseline")
    if out.resolve() == baselines[0].resolve():
        raise UsageError(f"--out {out}: that is the baseline itself, which changes when somebody accepts; name another")
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"--out {out}: give a file in a folder that is there")


def write_proposals(
    baselines: Mapping[Path, Baseline], found: Mapping[Path, Found], out: Path | None
) -> dict[Path, Path]:
    """For each baseline of which figures moved, the file that would accept them."""
    from vlbench.gating.propose import propose
    from vlbench.gating.timed import here_for
    from vlbench.record.baseline_files import proposal_path, write_baseline

    written = {path: out or proposal_path(path) for path, each in found.items() if each.moved}
    for path, goal in written.items():
        write_baseline(propose(baselines[path], found[path].again, here_for(baselines[path])), goal)
    return written
