"""Text as people paste it out of a terminal, a log or a pull request, brought back to what the tool printed."""

import csv
import re
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vlbench.errors import UsageError

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\u200b\ufeff]")
_QUOTED = re.compile(r"\A\s*(?:>\s?)+")
_FENCE = ("```", "~~~")
_AROUND = re.compile(
    r"(\([^)]*\) ?)?(DEBUG|INFO|WARNING)\b.*|\[rank\d+\]:.*|.*\d%\|.*|(Namespace|SamplingParams)\(.*|[$#] .*|\w.*\.\.\."
)
"""Loggers, progress bars, arguments and commands: what stands between the lines of a result and is none."""
_FIGURE = re.compile(r".{0,60}[:\s]\s?[-+]?\d[\d.,]*%?( \S{1,12})?")
_ARGUMENT = re.compile(
    r"(?:--|\b(?=\w+=))(model|batch[-_]size|num[-_]prompts|input[-_]len|output[-_]len|n)[ =]['\"]?([^\s,'\")]+)"
)
T = TypeVar("T")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
"""A number with commas between its thousands, as 0,720 is not: there the comma is a decimal point."""


def pasted_lines(text: str) -> list[str]:
    """Its lines without colours, quoting, code fences and outer blanks; tabs and runs of blanks are one blank."""
    return [line for line in _with_fences(text) if not line.startswith(_FENCE)]


def _with_fences(text: str) -> list[str]:
    lines = (_QUOTED.sub("", _COLOUR.sub("", line), count=1) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines]


@dataclass(frozen=True)
class Block:
    """What a tool printed of one run."""

    source: str
    """The file and, where it holds several, which block."""
    asked: dict[str, str]
    """The arguments that decide its load, where they were pasted above it."""
    lines: list[str] = field(default_factory=list)

    def left(self, known: re.Pattern[str]) -> list[str]:
        """Lines that `known` does not fit: all of the first paragraph, later on those that end in a figure."""
        paragraph = self.lines.index("") if "" in self.lines else len(self.lines)
        return [
            f"{line:.60}"
            for at, line in enumerate(self.lines)
            if line and not known.fullmatch(line) and (at < paragraph or _FIGURE.fullmatch(line))
        ]


def pasted_blocks(source: str, text: str, first: re.Pattern[str]) -> list[Block]:
    """What was printed from each line that `first` fits to the next, or to the end of its code fence."""
    blocks: list[Block] = []
    asked: dict[str, str] = {}
    inside = False
    for line in _with_fences(text):
        if first.fullmatch(line):
            blocks.append(Block(source, asked, [line]))
            asked, inside = {}, True
        elif line.startswith(_FENCE):
            inside = False
        elif inside and not _AROUND.fullmatch(line):
            blocks[-1].lines.append(line)
        else:
            asked = asked | {name.replace("-", "_"): value for name, value in _ARGUMENT.findall(line)}
    if len(blocks) == 1:
        return blocks
    return [replace(block, source=f"{source} block {number}") for number, block in enumerate(blocks, 1)]


def put(source: str, told: dict[str, T], name: str, value: T) -> None:
    """Keep a figure. Raises `UsageError` where its name was told before."""
    if name in told:
        raise UsageError(f"{source}: {name!r:.60} is there twice; give it as the tool wrote it")
    told[name] = value


def number_in(cell: str) -> float | None:
    """The number in a cell of a table, in ASCII and as tools write it; None for any other text."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else None
    except ValueError:
        return None


def pasted_number(text: str) -> float | None:
    """The number in `text`, perhaps with commas between thousands; None for any other text."""
    return number_in(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)


def csv_rows(text: str) -> list[list[str]]:
    """The rows of a CSV. A field ends with its line, so that a quote that a log opens does not go on for ever."""
    lines = text.splitlines()
    return [row for line in lines for row in csv.reader([line])] if '"' in text else list(csv.reader(lines))


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table; none of any other line."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
