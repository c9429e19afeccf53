"""`vlbench case`: published results, each claim with its verdict on this machine."""

from typing import Annotated

import typer

from vlbench.cli.completion import files, named
from vlbench.cli.options import CommandOptions, DeviceName
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet

app = typer.Typer(no_args_is_help=True, help="Re-enact published results, claim by claim.")


class NameOptions(CommandOptions):
    """The argument of `vlbench case show`, and the first of `vlbench case run`."""

    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=named("cases", files(".toml")))]
    """One of `vlbench case list`, or a file that ends in .toml."""


class Options(NameOptions):
    """The options of `vlbench case run`."""

    budget: float | None = None
    """Seconds for each place that is timed. [the case's]"""
    device: DeviceName = "auto"


@app.command("list")
@reports(judges=False)
def list_cases() -> Sheet:
    """List the published results that can be re-enacted.

    - `vlbench case list`
    """
    from vlbench.export.cases import cases_sheet
    from vlbench.workload.cases import load_case
    from vlbench.workload.library import case_names

    return cases_sheet({name: load_case(name) for name in case_names()})


def _check_name(name: str) -> None:
    from vlbench.workload.library import case_path

    case_path(name)  # before torch is imported


@app.command()
@reports(judges=False)
def show(options: NameOptions) -> Sheet:
    """Show what a case claims, what it counts and times, and what decides each claim; nothing is measured.

    - `vlbench case show vllm-agent-patch`
    """
    _check_name(options.name)
    from vlbench.api.cases import checked_case
    from vlbench.export.cases import case_sheet

    return case_sheet(options.name, checked_case(options.name))


@app.command()
@reports(judges=False)
def run(options: Options) -> Sheet:
    """Count and time what a case claims, and say of each claim how it fares here.

    Counts are at full size and need no GPU. Times are of this machine's CPU, at the size that the case names, or of its
    GPU, and some claims are decided there alone. Ends with 0 whatever the claims come to, with 5 where a row is wrong,
    with 6 where one could not be counted or timed.

    - `vlbench case run trtllm-vision-host`
    - `vlbench case run sglang-fast-rope --device cuda`
    """
    _check_name(options.name)
    from vlbench.api.cases import case
    from vlbench.export.cases import enacted_sheet

    return enacted_sheet(case(**vars(options)).record)
