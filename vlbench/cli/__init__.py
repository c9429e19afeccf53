"""The command line: one small file per command. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import sys

import typer

from vlbench.cli.explain import explain
from vlbench.cli.listing import list_things
from vlbench.cli.run import run
from vlbench.cli.show import show
from vlbench.cli.verify import verify
from vlbench.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Which optimization of a vision tower helps, is it still right, and what did a change break.",
)
app.command()(run)
app.command()(verify)
app.command()(show)
app.command("list")(list_things)
app.command()(explain)


@app.callback()
def _root() -> None:
    pass


def main() -> None:
    """Run the command line; what the user has to mend ends with one sentence and exit code 2."""
    try:
        app()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
