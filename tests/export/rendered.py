"""What a terminal of 80 columns would show."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from rich.console import Console, RenderableType

from vlbench.export.console import view
from vlbench.export.sheet import Part


def rendered(view: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=80, color_system=None, highlight=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def shown(parts: Iterable[Part]) -> str:
    return rendered(view(parts))
