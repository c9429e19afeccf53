"""SVG: a picture of what a terminal of 80 columns shows."""

from io import StringIO

from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet


@exporter(
    "svg",
    "Write a picture of the tables here.",
    comparison="a picture of what a terminal of 80 columns shows",
    tables="the same",
)
def svg_text(sheet: Sheet) -> str:
    """With the command above it."""
    from vlbench.export.console import view_of
    from vlbench.untrusted.console import SafeConsole
    from vlbench.untrusted.names import line, xml

    console = SafeConsole(width=80, record=True, file=StringIO())
    console.print(view_of(sheet))
    return xml(console.export_svg(title=f"$ {line(sheet.title)}"))
