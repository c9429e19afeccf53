"""`vlbench gate`: everything that the stored baselines hold, measured again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.gate_init import init
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.gate.run import Found
    from vlbench.judge.judged import Judged
    from vlbench.record.baseline import Baseline

app = typer.Typer(invoke_without_command=True)
app.command()(init)


@app.callback()
def gate(
    context: typer.Context,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="A baseline file; repeatable. [every one in results/baselines]")
    ] = None,
    capture: Annotated[
        list[Path] | None, typer.Option(help="A new capture, for the stored one of the same name; repeatable.")
    ] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="Rows that could not have shown a change pass.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the new file, if figures moved. [beside it, .proposed.json]")
    ] = None,
) -> None:
    """Measure again what the baselines hold, and fail where anything got worse.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.
    """
    from time import perf_counter

    from rich.console import Console

    from vlbench.gate.files import find_baselines, read_baseline
    from vlbench.gate.report import report
    from vlbench.gate.run import gate as measure_again

    if context.invoked_subcommand is not None:
        return
    start = perf_counter()
    paths = list(dict.fromkeys(baseline or find_baselines()))
    if out is not None and len(paths) > 1:
        raise UsageError(f"--out {out}: one file cannot stand for {len(paths)} baselines; name one with --baseline")
    baselines = {path: read_baseline(path) for path in paths}
    cells = sum(len(each.cells) for each in baselines.values())
    with Console(stderr=True).status(f"measuring {cells} cells again"):
        found = measure_again(baselines, capture or ())
    judged = report(
        baselines,
        found,
        write_proposals(baselines, found, out),
        command="gate",
        seconds=perf_counter() - start,
        allow_inconclusive=allow_inconclusive,
    )
    _show(judged)
    raise typer.Exit(judged.exit_code)


def write_proposals(
    baselines: Mapping[Path, Baseline], found: Mapping[Path, Found], out: Path | None
) -> dict[Path, Path]:
    """For each baseline of which figures moved, the file that would accept them."""
    from vlbench.gate.files import proposal_path, write_baseline
    from vlbench.gate.propose import propose
    from vlbench.record.fingerprint import take_fingerprint

    moved = [path for path, each in found.items() if each.moved]
    if not moved:
        return {}
    here = take_fingerprint("cpu")
    written = {path: out or proposal_path(path) for path in moved}
    for path, goal in written.items():
        write_baseline(propose(baselines[path], found[path].again, here), goal)
    return written


def _show(judged: Judged) -> None:
    for row in judged.rows:
        print(f"{row.verdict:<12} {row.cell}: {row.reason}")
        for move in row.moves:
            place = f" {move.file}:{move.line}" if move.file else ""
            print(f"    {move.kind} {move.name}: {move.before:,.0f} -> {move.after:,.0f}{place} {move.advice}")
    for line in (*judged.notes, judged.written and f"written: {judged.written}", judged.remedy):
        if line:
            print(line)
    print(f"exit code {int(judged.exit_code)}, {judged.seconds:.1f} s")
