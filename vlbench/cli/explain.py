"""`vlbench explain`: what a flag removes, how exact it is, its source, and its code beside the naive twin's."""

import ast
import inspect
import json
import textwrap
from collections.abc import Callable
from typing import Annotated, Any

import typer

from vlbench.cli.options import completion
from vlbench.errors import UsageError

SIDE_BY_SIDE = 150
"""Columns from which two pieces of code stand beside each other rather than one below the other."""
_flags = completion("vlbench.implementations.optimized:OPTIMIZATIONS")


def explain(
    flag: Annotated[str, typer.Argument(autocompletion=_flags, help="A flag; see `vlbench list flags`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Explain a flag: what it removes, how exact it is, its source, and its code beside the naive twin's."""
    from vlbench.implementations.optimized import FlagError, find_flag

    try:
        found = find_flag(flag)
    except FlagError as error:
        raise UsageError(str(error)) from None
    naive, optimized = source_of(found.seam.naive_way), source_of(found.way)
    facts = {
        "flag": found.flag,
        "seam": found.seam.name,
        "removes": found.removes,
        "class": str(found.exactness),
        "source": found.source,
        "needs": list(found.requires),
        "excludes": [other for other in found.seam.flags if other != found.flag],
    }
    if as_json:
        print(json.dumps(facts | {"naive": naive, "optimized": optimized}, indent=1))
    else:
        _show(facts, naive, optimized)


def source_of(way: Callable[..., Any]) -> str:
    """The code of a way, without its decorator."""
    text = textwrap.dedent(inspect.getsource(way))
    start = ast.parse(text).body[0].lineno  # of the `def` or `class` itself
    return "\n".join(text.splitlines()[start - 1 :])


def _show(facts: dict[str, Any], naive: str, optimized: str) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.syntax import Syntax
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text:
            table.add_row(f"[bold]{name}[/bold]", text)
    console.print(table)
    panels = [
        Panel(Syntax(code, "python", word_wrap=True, background_color="default"), title=title, title_align="left")
        for title, code in (("naive", naive), (facts["flag"], optimized))
    ]
    if console.width >= SIDE_BY_SIDE:
        pair = Table.grid(expand=True)
        pair.add_column(ratio=1)
        pair.add_column(ratio=1)
        pair.add_row(*panels)
        console.print(pair)
    else:
        for panel in panels:
            console.print(panel)
