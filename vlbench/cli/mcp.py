"""`vlbench mcp`: some commands as tools for agents and editors, over the Model Context Protocol."""

import json
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from vlbench.api.arguments import check_numbers
from vlbench.cli.options import PANEL, WRITTEN
from vlbench.errors import UsageError

PACKAGE = "mcp_types"
"""A package that the second version of `mcp` brought."""
SECONDS = 900.0
"""For one call."""
WATCHED = PANEL["timeout"]


def mcp(
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds that one call may take. [900]", rich_help_panel=WATCHED)
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the tools with what each takes, as JSON, and end.", rich_help_panel=WRITTEN),
    ] = False,
) -> None:
    """Serve count, where, diff, explain, judge and predict as tools for agents and editors (MCP over stdio).

    Files and towers are looked for in the folder that it was started in. It ends when its input does.

    - `vlbench mcp`
    - `vlbench mcp --json`
    """
    if timeout is not None:
        check_numbers({"timeout": timeout}, "--")
    if as_json:
        if timeout is not None:
            raise UsageError("--timeout says nothing beside --json; leave it out")
        from vlbench.cli.tools import TOOLS

        print(json.dumps([each.told() for each in TOOLS.values()], indent=1))
        return
    if find_spec(PACKAGE) is None:
        raise UsageError("`vlbench mcp` needs the package mcp, 2.0 or newer: pip install 'vlbench[mcp]'")
    from vlbench.cli.tools.server import run_server

    if sys.stdin.isatty():
        print("waiting for a client of the Model Context Protocol on stdin; Ctrl-D ends it", file=sys.stderr)
    run_server(timeout or SECONDS)
