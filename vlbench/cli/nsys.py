"""`vlbench nsys`: take captures, read them, compare them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from vlbench.cli.completion import one_of
from vlbench.cli.options import CAPTURES, CommandOptions, Force
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, Words, compared

if TYPE_CHECKING:
    from vlbench.nsys.failures import CaptureError

app = typer.Typer(
    name="nsys",
    help="Take Nsight Systems captures, read and compare them. Reads torch profiler traces too.",
    no_args_is_help=True,
)

Capture = Annotated[Path, typer.Argument()]
Limit = Annotated[int, typer.Option(min=0)]
"""Rows per table; 0 for all."""
Range = Annotated[str | None, typer.Option("--range", metavar="REGEX")]
"""Regular expression, searched in domain:name, for the encoder's forwards."""
Output = typer.Option("--output", "-o")


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, default=str)


class ReportOptions(CommandOptions):
    """The options of `vlbench nsys report`."""

    READ: ClassVar = {"file": CAPTURES}

    file: Capture
    """An .sqlite or .nsys-rep capture, or a torch profiler trace."""
    range_: Range = None
    iteration: str | None = None
    """Regular expression for the whole domain:name of the repeated range."""
    limit: Limit = 15


@app.command()
@reports(judges=False)
def report(options: ReportOptions) -> Sheet:
    """Say where a capture's time and launches go, per range, and what blocks the host.

    - `vlbench nsys report capture.nsys-rep --limit 5`
    """
    from vlbench.export.captured import report_sheet
    from vlbench.nsys.read import load
    from vlbench.nsys.report import build

    found = build(load(options.file), options.range_, options.iteration)
    return report_sheet(found, options.limit, lambda: _json(found.to_dict()))


class CaptureOptions(CommandOptions):
    """The options of `vlbench nsys capture`."""

    UNREAD: ClassVar = {"show": "range_ limit"}

    arguments: Annotated[list[str], typer.Argument()]
    """After `--`: the vlbench command to capture, such as `run ...`."""
    output: Annotated[Path | None, Output] = None
    """Where to write, without a suffix. [vlbench-capture, or -2, -3 ... where that is there]"""
    force: Force = False
    trace: str = "cuda,nvtx"
    """What nsys traces; cuda-sw,nvtx avoids the hardware trace."""
    graph: Annotated[str, typer.Option(autocompletion=one_of("node", "graph"))] = "node"
    """node: the kernels inside CUDA graphs; graph: one row per replay."""
    show: Annotated[bool, typer.Option("--print")] = False
    """Only print the command."""
    range_: Range = None
    limit: Limit = 15


@app.command(context_settings={"ignore_unknown_options": True})
@reports(judges=False)
def capture(options: CaptureOptions) -> Sheet:
    """Run a vlbench command under nsys, check the report, and print its tables.

    Exit codes: 10 nsys missing, 11 no report, 12 report empty or incomplete, 13 the program failed.

    - `vlbench nsys capture -- run --scenario single-image --with best`
    """
    from vlbench.errors import UsageError
    from vlbench.nsys.command import Options
    from vlbench.nsys.failures import CaptureError
    from vlbench.nsys.take import shown, take, written
    from vlbench.record.destinations import check_output, free_output

    if options.graph not in ("node", "graph"):
        raise UsageError(f"--graph {options.graph!r} is not known; take node or graph")
    traced = Options(trace=options.trace, graph=options.graph)
    output = options.output or free_output("vlbench-capture", ".nsys-rep").with_suffix("")
    if options.show:
        line = shown(options.arguments, output, traced)
        return Sheet("vlbench nsys capture", [Words(line, "ansi")], own={"json": lambda: _json({"command": line})})
    if output.parent.is_dir():
        for path in written(output):
            check_output(path, "--output", force=options.force)
    try:
        taken = take(options.arguments, output, traced)
    except CaptureError as failure:
        return _failure(failure)

    from vlbench.export.captured import report_sheet
    from vlbench.nsys.report import build

    found = build(taken.capture, options.range_)
    facts = {"report": str(taken.report), "sidecar": vars(taken.sidecar), "capture_notes": list(taken.notes)}
    sheet = report_sheet(found, options.limit, lambda: _json(found.to_dict() | facts))
    return replace(sheet, last="\n".join(f"Note: {note}" for note in taken.notes))


class DiffOptions(CommandOptions):
    """The options of `vlbench nsys diff`."""

    READ: ClassVar = {"before": CAPTURES, "after": CAPTURES}

    before: Capture
    """The capture to compare with."""
    after: Capture
    """The capture to judge."""
    limit: Limit = 20


@app.command()
@reports()
def diff(options: DiffOptions) -> Sheet:
    """Compare two captures by range and counter: what appeared, vanished, moved.

    Ends with 0 where no count went up, 3 where one did, 6 where a range vanished or the captures do not compare. Times
    are shown and never judged: `vlbench ab` and `vlbench gate` judge them.

    - `vlbench nsys diff before.nsys-rep after.nsys-rep`
    """
    from vlbench.comparing.captured import judge_difference
    from vlbench.export.captured import difference_parts
    from vlbench.export.comparison import last_line
    from vlbench.export.formats.json import document_of
    from vlbench.nsys.compare import diff as compare
    from vlbench.nsys.read import load
    from vlbench.nsys.report import records

    found = compare(load(options.before), load(options.after))
    judged = judge_difference(found, str(options.before), str(options.after))
    return compared(
        judged,
        view=[*difference_parts(found, options.limit), last_line(judged)],
        json=lambda: _json({**document_of(judged), "counters": records(found.counters), "times": records(found.times)}),
    )


class TraceOptions(CommandOptions):
    """The options of `vlbench nsys trace`."""

    file: Capture
    """The capture to convert."""
    output: Annotated[Path, Output]
    """A .json or .json.gz file."""
    force: Force = False


@app.command()
@reports(judges=False)
def trace(options: TraceOptions) -> Sheet:
    """Write a Chrome trace for Perfetto: ranges, calls and GPU rows on one timeline.

    - `vlbench nsys trace capture.nsys-rep -o trace.json.gz`
    """
    from vlbench.nsys.perfetto import write_trace
    from vlbench.nsys.read import load
    from vlbench.record.destinations import check_output

    check_output(options.output, "--output", force=options.force)
    events = write_trace(load(options.file), options.output)
    return Sheet(
        "vlbench nsys trace",
        [Words(f"{options.output}: {events} events; open it at https://ui.perfetto.dev", "ansi")],
        own={"json": lambda: _json({"output": str(options.output), "events": events})},
    )


@app.command()
@reports(judges=False)
def doctor() -> Sheet:
    """Say what this machine lacks for a capture. The exit code is that of the first thing missing, else 0.

    - `vlbench nsys doctor`
    """
    from vlbench.export.captured import checks_sheet
    from vlbench.nsys.doctor import examine

    checks = examine()
    code = next((int(check.code) for check in checks if not check.ok and check.code), 0)
    return checks_sheet(checks, code, lambda: _json({"exit_code": code, "checks": list(map(vars, checks))}))


def _failure(failure: CaptureError) -> Sheet:
    """Why there is no usable capture."""
    code = int(failure.code)
    said = {"cause": failure.cause, "remedy": failure.remedy, "detail": list(failure.detail)}
    head = [f"Capture failed: {failure.cause}.", f"Remedy: {failure.remedy}."]
    return Sheet(
        "vlbench nsys capture",
        exit_code=code,
        own={"json": lambda: _json({"exit_code": code, **said})},
        last="\n".join([*head, *(f"  {line}" for line in failure.detail)]),
    )
