"""`vlbench show`: the tables of a results file again, in the terminal or in any other format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


@reports()
def show(results: Annotated[Path, typer.Argument(help="A file that `vlbench run --out` wrote.")]) -> Sheet:
    """Show the tables of a results file."""
    from vlbench.export.results import machine_parts, results_sheet
    from vlbench.record.files import read_results

    found = read_results(results)
    return replace(results_sheet(found, after=machine_parts(found)), exit_code=0)
