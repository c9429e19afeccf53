"""`vlbench show`: the tables of a results file again, in the terminal or as a picture."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

from vlbench.errors import UsageError


def show(
    results: Annotated[Path, typer.Argument(help="A file that `vlbench run --out` wrote.")],
    svg: Annotated[Path | None, typer.Option(help="Write a picture of the tables to this .svg file.")] = None,
) -> None:
    """Show the tables of a results file."""
    from rich.console import Console

    from vlbench.export.console import results_view
    from vlbench.export.machine_card import card_lines
    from vlbench.record.files import read_results

    found = read_results(results)
    if svg is not None and not svg.parent.is_dir():
        raise UsageError(f"--svg {svg}: the folder {svg.parent} does not exist; make it or choose another")
    console = Console(width=80, record=True, file=StringIO()) if svg else Console(highlight=False)
    console.print(found.fingerprint.line, style="dim", highlight=False)
    console.print(results_view(found), highlight=False)
    if found.machine:
        console.print("\nThe machine:\n" + "\n".join(card_lines(found.machine)), style="dim", highlight=False)
    if svg is not None:
        svg.write_text(console.export_svg(title=f"$ {found.command}"))
        print(f"picture in {svg}")
