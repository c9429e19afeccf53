"""Text as people paste it out of a terminal, a log or a pull request, brought back to what the tool printed."""

import re

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\u200b\ufeff]")
_QUOTED = re.compile(r"\A\s*(?:>\s?)+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def pasted_lines(text: str) -> list[str]:
    """Its lines without colours, quoting, code fences and outer blanks; tabs and runs of blanks are one blank."""
    lines = (_QUOTED.sub("", _COLOUR.sub("", line), count=1) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if not line.lstrip().startswith(("```", "~~~"))]


def number_in(cell: str) -> float | None:
    """The number in a cell of a table; None for any other text."""
    try:
        return float(cell)
    except ValueError:
        return None


def pasted_number(text: str) -> float | None:
    """The number in `text`, perhaps with commas between thousands; None for any other text."""
    return number_in(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table; none of any other line."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
