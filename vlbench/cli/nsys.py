"""`vlbench nsys`: take captures, read them, compare them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlbench.cli.reporting import AsJson, Csv, Github, Junit, Markdown, check_goals, deliver

if TYPE_CHECKING:
    from rich.console import Console

    from vlbench.judging.judged import Judged
    from vlbench.nsys.compare import Difference
    from vlbench.nsys.failures import CaptureError

app = typer.Typer(
    name="nsys",
    help="Take Nsight Systems captures, read and compare them. Reads torch profiler traces too.",
    no_args_is_help=True,
)

Limit = Annotated[int, typer.Option(min=0, help="Rows per table; 0 for all.")]
Range = Annotated[
    str | None,
    typer.Option("--range", help="Regular expression, searched in domain:name, for the encoder's forwards."),
]
Iteration = Annotated[
    str | None, typer.Option(help="Regular expression for the whole domain:name of the repeated range.")
]


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="An .sqlite or .nsys-rep capture, or a torch profiler trace.")],
    range_: Range = None,
    iteration: Iteration = None,
    limit: Limit = 15,
    as_json: AsJson = False,
) -> None:
    """Say where a capture's time and launches go, per range, and what blocks the host."""
    from vlbench.nsys.console import print_report
    from vlbench.nsys.read import load
    from vlbench.nsys.report import build

    found = build(load(file), range_, iteration)
    if as_json:
        _print_json(found.to_dict())
    else:
        print_report(found, _console(), limit)


@app.command(context_settings={"ignore_unknown_options": True})
def capture(
    arguments: Annotated[
        list[str], typer.Argument(help="After `--`: the vlbench command to capture, such as `run ...`.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write, without a suffix.")] = Path(
        "vlbench-capture"
    ),
    trace: Annotated[str, typer.Option(help="What nsys traces; cuda-sw,nvtx avoids the hardware trace.")] = "cuda,nvtx",
    graph: Annotated[
        str, typer.Option(help="node: the kernels inside CUDA graphs; graph: one row per replay.")
    ] = "node",
    show: Annotated[bool, typer.Option("--print", help="Only print the command.")] = False,
    range_: Range = None,
    limit: Limit = 15,
    as_json: AsJson = False,
) -> None:
    """Run a vlbench command under nsys, check the report, and print its tables.

    Exit codes: 10 nsys missing, 11 no report, 12 report empty or incomplete, 13 the program failed.
    """
    from vlbench.errors import UsageError
    from vlbench.nsys.command import Options
    from vlbench.nsys.failures import CaptureError
    from vlbench.nsys.take import shown, take

    if graph not in ("node", "graph"):
        raise UsageError(f"--graph {graph!r} is not known; take node or graph")
    options = Options(trace=trace, graph=graph)
    if show:
        line = shown(arguments, output, options)
        _print_json({"command": line}) if as_json else typer.echo(line)
        return
    try:
        taken = take(arguments, output, options)
    except CaptureError as failure:
        raise _exit(failure, as_json) from failure

    from vlbench.nsys.console import print_report
    from vlbench.nsys.report import build

    found = build(taken.capture, range_)
    if as_json:
        facts = {
            "report": str(taken.report),
            "sidecar": vars(taken.sidecar),
            "capture_notes": list(taken.notes),
        }
        _print_json(found.to_dict() | facts)
        return
    for note in taken.notes:
        typer.echo(f"Note: {note}", err=True)
    print_report(found, _console(), limit)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="The capture to compare with.")],
    after: Annotated[Path, typer.Argument(help="The capture to judge.")],
    limit: Limit = 20,
    as_json: AsJson = False,
    csv: Csv = None,
    markdown: Markdown = None,
    junit: Junit = None,
    github: Github = False,
) -> None:
    """Compare two captures by range and counter: what appeared, vanished, moved.

    Ends with 0 where no count went up, 3 where one did, 6 where a range vanished or the captures do not compare. Times
    are shown and never judged: `vlbench ab` and `vlbench gate` judge them.
    """
    from vlbench.comparing.captured import judge_difference
    from vlbench.nsys.compare import diff as compare
    from vlbench.nsys.read import load

    check_goals(csv=csv, markdown=markdown, junit=junit, github=github)
    found = compare(load(before), load(after))
    judged = judge_difference(found, str(before), str(after))
    deliver(
        judged,
        as_json=as_json,
        csv=csv,
        markdown=markdown,
        junit=junit,
        github=github,
        show=lambda: _show_difference(found, judged, limit, as_json),
    )


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(help="The capture to convert.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .json or .json.gz file.")],
    as_json: AsJson = False,
) -> None:
    """Write a Chrome trace for Perfetto: ranges, calls and GPU rows on one timeline."""
    from vlbench.nsys.perfetto import write_trace
    from vlbench.nsys.read import load

    events = write_trace(load(file), output)
    if as_json:
        _print_json({"output": str(output), "events": events})
    else:
        typer.echo(f"{output}: {events} events; open it at https://ui.perfetto.dev")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine lacks for a capture. The exit code is that of the first thing missing, else 0."""
    from vlbench.nsys.console_diff import print_checks
    from vlbench.nsys.doctor import examine

    checks = examine()
    code = next((int(check.code) for check in checks if not check.ok and check.code), 0)
    if as_json:
        _print_json({"exit_code": code, "checks": [check.to_dict() for check in checks]})
    else:
        print_checks(checks, _console())
    raise typer.Exit(code)


def _show_difference(found: Difference, judged: Judged, limit: int, as_json: bool) -> None:
    """The tables and the verdict; as JSON what every judging command prints, and the tables whole."""
    from vlbench.export.judged_console import last_line
    from vlbench.export.judged_json import json_text
    from vlbench.nsys.console_diff import print_difference
    from vlbench.nsys.report import records

    if as_json:
        tables = {"counters": records(found.counters), "times": records(found.times)}
        _print_json(json.loads(json_text(judged)) | tables)
    else:
        print_difference(found, _console(), limit)
        _console().print(last_line(judged))


def _exit(failure: CaptureError, as_json: bool) -> typer.Exit:
    """Print why there is no usable capture."""
    if as_json:
        said = {"cause": failure.cause, "remedy": failure.remedy, "detail": list(failure.detail)}
        _print_json({"exit_code": int(failure.code), **said})
    else:
        typer.echo(f"Capture failed: {failure.cause}.\nRemedy: {failure.remedy}.", err=True)
        for line in failure.detail:
            typer.echo(f"  {line}", err=True)
    return typer.Exit(int(failure.code))
