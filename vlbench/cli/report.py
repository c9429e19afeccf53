"""`vlbench report`: result files as one page for whoever decides what to switch on."""

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.cli import options as shared
from vlbench.cli.completion import files
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Part, Sheet, Words
from vlbench.untrusted.names import json_text, terminal


class ReportOptions(shared.CommandOptions):
    """The arguments and options of `vlbench report`."""

    UNREAD: ClassVar = {"markdown": "json"}
    READ: ClassVar = {"results": "vlbench.record.files:OURS"}
    WRITES = True

    results: Annotated[list[str] | None, typer.Argument(metavar="RESULTS...", autocompletion=files(".json"))] = None
    """Files of `run`, `self-test` and `atlas --out`, baselines, and what `gate`, `ab`, `diff`, `count`, `predict` and
    `recommend` print with `--json`."""
    history: Annotated[
        list[str] | None, typer.Option("--history", metavar="FILE|DIR", autocompletion=files(".json"))
    ] = None
    """Figures over versions, too, as `vlbench history` shows them: of a FILE its past in git, of a DIR or of several
    FILEs (once for each) these as versions of one thing."""
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE")] = None
    """Write the page here."""
    markdown: Annotated[bool, typer.Option("--markdown")] = False
    """Print the same facts in short, for a pull request, in place of the tables."""
    json: Annotated[bool, typer.Option("--json")] = False
    """Print what the page is made of as JSON, in place of the tables."""
    force: shared.Force = False


@reports(formats=("none of the others",))
def report(options: ReportOptions) -> Sheet | None:
    """Write one HTML page of results: which set, how much faster, is it right, on what machine, and all behind it.

    The page loads nothing, so it can be mailed and kept. Ratios are of one file, and so of one machine. Ends with 0,
    with 2 where a file cannot be read.

    - `vlbench report vlbench-multi-image.json -o report.html`
    - `vlbench report run.json gate.json predicted.json --markdown`
    - `vlbench report run.json --history nightly -o report.html`
    """
    from vlbench.api.reporting import report

    found = report(options.results or (), options.out, history=options.history or None, force=options.force)
    if options.markdown or options.json:
        print(json_text(found.json()) if options.json else terminal(found.markdown()).rstrip())
        return None
    parts: list[Part] = []
    for answer in found.record.answers:
        parts += [Words(answer.where, "bold"), Words()]
        parts += [Words(f"{tile.question}: {tile.answer.shown}; {tile.told}", indent=2) for tile in answer.tiles]
        parts += [Words(f"Switch on: {', '.join(answer.flags)}", indent=2)] if answer.flags else []
        parts.append(Words())
    parts += [Words(told, "yellow") for told in found.record.warnings]
    chapters = len(found.record.chapters)
    told = (
        f"{chapters} chapters in {options.out}: open it in a browser"
        if options.out
        else f"-o report.html writes the page, of {chapters} chapters"
    )
    parts.append(Words(told, "dim"))
    return Sheet("vlbench report", parts)
