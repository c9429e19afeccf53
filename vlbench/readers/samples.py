"""Plain CSV of samples: the columns name, value and, if wanted, unit, better and run; or one column of numbers.

One file is one run, unless a column `run` says which run each sample is of. One or two columns need no header.
"""

import re

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader
from vlbench.readers.pasted import csv_rows, number_in, pasted_number
from vlbench.record.directions import EARLIER, Better
from vlbench.record.runs import Run, collect, from_samples

COLUMNS = ("name", "value", "unit", "better", "run")
_DECIMAL_COMMA = re.compile(r"[^,]*[;:\t] ?[-+]?\d+,\d+")
"""What `latency;12,5` looks like, where a comma is the decimal point: not a name and 5."""
Series = tuple[str, str, str]
"""Name, unit and better of a metric."""


def _recognises(document: Document) -> bool:
    if document.objects:
        return False
    first, *rest = [row for _, row in _rows(document)]
    if len(first) == 1 and first != ["value"]:
        return number_in((rest or [first])[0][0]) is not None
    pairs = [first, *rest[:1]]  # one alone may be a command above what it printed: `bench --num-prompts 3,000`
    return "value" in first or all(len(row) == 2 and number_in(row[1]) is not None for row in pairs)


def _read(document: Document) -> list[Run]:
    runs: dict[str, dict[Series, list[float]]] = {}
    columns, rows, name = _columns(document)
    for number, row in rows:
        cells = dict(zip(columns, row, strict=False))
        value = pasted_number(cells.get("value", ""))
        if value is None or len(row) != len(columns):
            wanted = f"a number in the column value, and {len(columns)} columns"
            raise UsageError(f"{document.source} line {number} is {','.join(row)!r:.40}; each line needs {wanted}")
        if _DECIMAL_COMMA.fullmatch(",".join(row)):
            told = "semicolons or tabs, or a number with a comma; write name,value and 12.5"
            raise UsageError(f"{document.source} line {number} is {','.join(row)!r:.40}, which has {told}")
        series = (cells.get("name", name), cells.get("unit", ""), cells.get("better", ""))
        runs.setdefault(cells.get("run", ""), {}).setdefault(series, []).append(value)
    if not runs:
        raise UsageError(f"{document.source} has a header and no samples; did the benchmark finish?")
    return [_run(document, label, series) for label, series in runs.items()]


def _run(document: Document, label: str, series: dict[Series, list[float]]) -> Run:
    source, metrics = document.source, []
    for (name, unit, better), values in series.items():
        better = EARLIER.get(better, better)
        if better and better not in tuple(Better):
            raise UsageError(f"{source}: better is {better!r}; write lower or higher")
        metrics.append(from_samples(name, values, unit, Better(better) if better else document.better(name, unit)))
    return collect(f"{source} run {label}" if label else source, metrics)


def _columns(document: Document) -> tuple[tuple[str, ...], list[tuple[int, list[str]]], str]:
    """The columns, the numbered lines below the header if there is one, and the name of samples that carry none."""
    numbered = _rows(document)
    first = numbered[0][1]
    if len(first) == 1:
        headed = number_in(first[0]) is None
        return ("value",), numbered[headed:], first[0] if headed else "value"
    if len(first) == 2 and number_in(first[1]) is not None:
        if number_in(first[0]) is not None:
            told = "two numbers or one with a comma; write name,value, or a number without a comma"
            raise UsageError(f"{document.source} line 1 is {','.join(first)!r:.40}, {told}")
        return ("name", "value"), numbered, "value"
    for column in first:
        if column not in COLUMNS or first.count(column) > 1:
            told = "there twice" if column in COLUMNS else f"none of {', '.join(COLUMNS)}"
            raise UsageError(f"{document.source}: the column {column!r:.40} is {told}; leave it out")
    return tuple(first), numbered[1:], "value"


def _rows(document: Document) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers."""
    lines = enumerate(csv_rows(document.text), 1)
    return [(number, [cell.strip() for cell in row]) for number, row in lines if row]


READER = Reader("samples", "CSV of samples: name, value and, if wanted, unit, better and run", _recognises, _read)
