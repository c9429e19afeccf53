"""Summaries of several runs, as reports and pull requests give them.

Either lines such as `throughput: 17.25 +- 0.72 requests/s (n=3)` or `17.25 ± 0.72 ms of 3 runs`, or a CSV with the
columns name, mean, std, n and, if wanted, unit and better. The deviation is between runs, and n counts runs. It may be
per cent of the mean where a unit follows, as in `1710 +- 2% ms (n=3)`; without one nobody can say of what it is.
"""

import re

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, count, finite
from vlbench.readers.pasted import cells, csv_rows
from vlbench.record.directions import EARLIER, Better
from vlbench.record.runs import Metric, Run, collect

NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
LINE = re.compile(
    rf"(?:(?P<name>\S.*?)\s*[:=]\s*)?(?P<mean>{NUMBER})\s*(?:±|\+/?-)\s*(?P<std>{NUMBER})"
    r"\s*(?P<percent>%(?=[\s,(]))?\s*(?P<unit>[^\s\d(,%]\S*?)?"
    r"(?<![\s,(])[\s,(]+(?:n\s*=\s*(?P<n>\d+)|(?:of|over)\s+(?P<runs>\d+)\s+runs?)\)?\.?",
    re.ASCII,
)
MOST_RUNS = 1_000_000
COLUMNS = {"name", "mean", "std", "n", "unit", "better"}


def _recognises(document: Document) -> bool:
    if document.objects or _is_table(document):
        return not document.objects
    lines = document.lines
    return any(sign in line and not cells(line) for line in lines for sign in ("±", "+-", "+/-"))


def _read(document: Document) -> list[Run]:
    rows = _table(document) if _is_table(document) else _lines(document)
    return [collect(document.source, [_metric(document, number, row) for number, row in enumerate(rows, 1)])]


def _is_table(document: Document) -> bool:
    header = document.text.lstrip().split("\n", 1)[0].strip().split(",")
    return {"mean", "std", "n"} <= set(header) <= COLUMNS


def _table(document: Document) -> list[dict[str, str]]:
    header, *rows = filter(None, csv_rows(document.text))
    return [dict(zip(header, row, strict=False)) for row in rows]


def _lines(document: Document) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(document.text.splitlines(), 1):
        if not line.strip():
            continue
        found = LINE.fullmatch(" ".join(line.split()))
        if found is None:
            wanted = "write it as 'name: 17.25 +- 0.72 unit (n=3)'"
            raise UsageError(f"{document.source} line {number} is no mean and deviation of n runs; {wanted}")
        row = {key: value for key, value in found.groupdict().items() if value}
        if row.pop("percent", None):
            row["std"] = _absolute(f"{document.source} line {number}", row)
        rows.append({**row, "n": row.get("n") or row["runs"]})
    return rows


def _absolute(source: str, row: dict[str, str]) -> str:
    """The deviation that is told in per cent of the mean. Raises UsageError where per cent may be the unit itself."""
    if "unit" not in row:
        told = f"{row['std']}% may be of the mean or the unit of both"
        wanted = "write the deviation in the unit of the mean, or a CSV with the columns name, mean, std, n, unit"
        raise UsageError(f"{source}: {told}; {wanted}")
    return str(abs(float(row["mean"])) * float(row["std"]) / 100)


def _metric(document: Document, number: int, row: dict[str, str]) -> Metric:
    source = f"{document.source} row {number}"
    name, unit, better = row.get("name") or "value", row.get("unit") or "", row.get("better")
    mean, deviation = (finite(source, key, row.get(key)) for key in ("mean", "std"))
    runs = count(source, "n", row.get("n"))
    if better and EARLIER.get(better, better) not in tuple(Better):
        raise UsageError(f"{source}: better is {better!r:.40}; write lower or higher")
    if not 1 <= runs <= MOST_RUNS or deviation < 0 or (runs > 1 and deviation == 0):
        raise UsageError(f"{source}: {deviation} is no deviation between {runs} runs; give both as measured")
    way = Better(better) if better else document.better(name, unit)
    return Metric(name, mean, unit, way, runs=runs, deviation=deviation * (runs > 1))


READER = Reader("summary", "mean +- std of n runs: in lines, or in a CSV with mean, std and n", _recognises, _read)
