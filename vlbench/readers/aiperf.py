"""aiperf's aggregate export, as JSON or CSV (`profile_export_aiperf.json`, `.csv`): one file is one run.

Read are throughputs and, of each latency, the median and p99; lengths and counts have no better direction. Names are
those of the JSON keys in both, so that either kind compares with the other. https://github.com/ai-dynamo/aiperf
"""

import csv
import re
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, finite, number_in
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run, collect

Figures = dict[str, Any]
"""One metric: its `unit` and its statistics."""
LATENCY = re.compile(r"\w*(latency|time_to_\w+_token|time_to_first_\w+)")
THROUGHPUT = re.compile(r"\w*(throughput\w*|goodput)")
LOAD = ("concurrency", "request_rate", "request_rate_mode")
CSV_NAME = re.compile(r"(?P<name>.*?)\s*(\((?P<unit>[^()]*)\))?")


def _recognises(document: Document) -> bool:
    if document.objects:
        return len(document.objects) == 1 and "avg" in _entry(document.objects[0], "request_throughput")
    return document.text.startswith(("Metric,avg", "Metric,Value"))


def _read(document: Document) -> list[Run]:
    entries = document.objects[0] if document.objects else _table(document)
    metrics: list[Metric] = []
    for name, figures in entries.items():
        if isinstance(figures, dict) and "avg" in figures:
            metrics += _metrics(document.source, name, figures)
    config = _entry(entries, "input_config")
    load = _entry(config, "loadgen")
    conditions = {key: str(load[key]) for key in LOAD if load.get(key) is not None}
    return [collect(document.source, metrics, conditions, _fault(document.source, entries))]


def _metrics(source: str, name: str, figures: Figures) -> list[Metric]:
    unit = str(figures.get("unit", ""))
    if THROUGHPUT.fullmatch(name):
        middle = figures["avg"] if figures.get("p50") is None else figures["p50"]
        return [Metric(name, finite(source, name, middle), unit, Better.HIGHER)]
    if not LATENCY.fullmatch(name):
        return []
    kept = {f"{stat}_{name}": figures[stat] for stat in ("p50", "p99") if figures.get(stat) is not None}
    return [Metric(label, finite(source, label, value), unit, Better.LOWER) for label, value in kept.items()]


def _fault(source: str, entries: dict[str, Any]) -> str:
    if entries.get("was_cancelled"):
        return "it was cancelled"
    failed = finite(source, "error_request_count", _entry(entries, "error_request_count").get("avg", 0))
    summary = entries.get("error_summary") or []
    failed = max(failed, sum(each.get("count", 0) for each in summary if isinstance(each, dict)))
    return f"{failed:.0f} of its requests failed" if failed else ""


def _table(document: Document) -> dict[str, Figures]:
    """The CSV's tables as the JSON would hold them; the last table is about GPUs and is left out."""
    entries: dict[str, Figures] = {}
    columns: list[str] = []
    for row in csv.reader(document.text.splitlines()):
        if not row or row[0] == "Endpoint":
            columns = []
        elif row[0] == "Metric":
            columns = ["avg" if column == "Value" else column for column in row[1:]]
        elif columns:
            if len(row) > len(columns) + 1:
                wanted = f"{len(columns) + 1} columns; write numbers without commas, or quote them"
                raise UsageError(f"{document.source}: the line {','.join(row)!r:.60} has {len(row)} and not {wanted}")
            named = CSV_NAME.fullmatch(" ".join(row[0].split()))
            assert named is not None  # the pattern fits any text
            name = re.sub(r"\W+", "_", named["name"].lower())
            entries[name] = {"unit": named["unit"] or ""}
            for statistic, cell in zip(columns, row[1:], strict=False):
                if (figure := number_in(cell)) is not None:
                    entries[name][statistic] = figure
    return entries


def _entry(value: dict[str, Any], key: str) -> dict[str, Any]:
    entry = value.get(key)
    return entry if isinstance(entry, dict) else {}


READER = Reader("aiperf", "aiperf's aggregate export, as JSON or CSV", _recognises, _read)
