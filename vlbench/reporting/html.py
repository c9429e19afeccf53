"""The report as one HTML file that loads nothing: styles and a script of ours stand in it, and no other script runs."""

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from vlbench.export.sheet import Cell, Column, Table, Value, shown
from vlbench.reporting.page import Drawn, Picture, Report, one_line
from vlbench.untrusted.names import xml
from vlbench.version import __version__

STYLES = {"bold": "strong", "red": "bad", "bold red": "bad", "yellow": "warn", "dim": "dim", "card": "card"}
TONES = {"green": "good", "bold green": "good", "red": "bad", "bold red": "bad", "yellow": "warn", "dim": "dim"}


def html_text(report: Report) -> str:
    """The page."""
    folder = files("vlbench.reporting") / "templates"
    template, style, script = (
        (folder / name).read_text("utf-8") for name in ("page.html.jinja", "page.css", "page.js")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"clean": clean, "coded": coded}
    return environment.from_string(template).render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        digest=b64encode(sha256(script.encode()).digest()).decode(),
        version=__version__,
        kind=lambda block: type(block).__name__.lower(),
        css=lambda style: STYLES.get(style, ""),
        head=head,
        cells=cells,
        figures=figures,
        tone=lambda cell: TONES.get(cell.style, cell.style),
    )


def clean(text: object) -> str:
    """One line or several, of what can be seen; the template escapes it."""
    return xml(str(text)).strip()


def coded(text: str) -> Markup:
    """The same, with what stands between two backticks as code."""
    parts = clean(text).split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(clean(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else Markup.escape(part) for at, part in enumerate(parts)
    )


def head(column: Column) -> Markup:
    """The heading of a column, with the scale of what is drawn in it."""
    label = Markup.escape(clean(column.one_line))
    if not isinstance(column, Drawn) or not column.svg:
        return label
    return Markup('<span class="unseen">{}</span>{}').format(label, Markup(column.svg))


def cells(table: Table) -> list[list[dict[str, object]]]:
    """Every row as the template wants its cells."""
    return [
        [_cell(column, value, first=at == 0) for at, (column, value) in enumerate(zip(table.heads, row, strict=True))]
        for row in table.rows
    ]


def _cell(column: Column, value: Cell | Value, *, first: bool) -> dict[str, object]:
    text = clean(one_line(shown(value)))
    of = value.value if isinstance(value, Cell) else value
    named = of if isinstance(of, Mapping) else {column.key: of}
    drawn = Markup(value.svg) if isinstance(value, Picture) else ""
    tone = TONES.get(value.style, value.style) if isinstance(value, Cell) else ""
    left = first or column.left
    long = "long" if left and len(text) > 32 else ""
    css = " ".join(filter(None, (tone, "left" * left, long)))
    return {"text": coded(text), "svg": drawn, "figures": figures(named), "css": css}


def figures(named: Mapping[str, Value] | Value) -> str:
    """The numbers behind a cell as JSON, by name, in full precision; "" where it has none."""
    found = named if isinstance(named, Mapping) else {"value": named}
    numbers = {name: _number(value) for name, value in found.items() if isinstance(value, int | float)}
    return json.dumps(numbers) if numbers else ""


def _number(value: float) -> float | str:
    """JSON has no infinity and no NaN: they are texts, as in every file of ours."""
    return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
