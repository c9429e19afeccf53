"""aiperf's aggregate export, as JSON or CSV (`profile_export_aiperf.json`, `.csv`): one file is one run.

Read are throughputs and, of each latency, the median and p99; lengths and counts have no better direction. Names are
those of the JSON keys in both, so that either kind compares with the other. https://github.com/ai-dynamo/aiperf
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, check_figures, count, failures, finite
from vlbench.readers.pasted import csv_rows, put
from vlbench.readers.serving import told_lost
from vlbench.record.directions import Better, is_amount, words_of
from vlbench.record.runs import Metric, Run, collect

Figures = dict[str, Any]
"""One metric: its `unit` and its statistics."""
LATENCY = re.compile(r"\w*(latency|time_to_\w+_token|time_to_first_\w+)")
THROUGHPUT = re.compile(r"\w*(throughput\w*|goodput)")
IGNORED = re.compile(
    r"was_cancelled|error_summary|(good_|error_)?request_count|input_config|(total_)?(input|output|reasoning)_\w+_length"
    r"|(total_)?(input|output|reasoning)_tokens?(_count)?|benchmark_(duration|id)|\w+_version|start_time|end_time"
    r"|telemetry_data|(min|max)_\w+_timestamp"
)
"""Lengths and counts of what was answered, and what says nothing of speed."""
NO_LOAD = words_of(
    "artifact_directory cli_command benchmark_id url urls api_key start_time verbose ui profile_export_file"
)
"""Of what was asked for, what is different in every run of the same thing."""
CSV_NAME = re.compile(r"(?P<name>.*?)\s*(\((?P<unit>[^()]*)\))?")


def _recognises(document: Document) -> bool:
    if document.objects:
        return len(document.objects) == 1 and "avg" in _entry(document.objects[0], "request_throughput")
    return document.text.startswith(("Metric,avg", "Metric,Value"))


def _read(document: Document) -> list[Run]:
    entries = document.objects[0] if document.objects else _table(document)
    metrics: list[Metric] = []
    unread: list[str] = []
    left_out: list[str] = []
    for name, figures in entries.items():
        if isinstance(figures, dict) and "avg" in figures:
            signed = [] if is_amount(name, str(figures.get("unit", ""))) else [*figures]
            check_figures(f"{document.source}: {name}", figures, signed=signed)
            metrics += (found := _metrics(document.source, name, figures))
            unread += [name] * (not found and not IGNORED.fullmatch(name))
            left_out += [f"avg_{name}"] * bool(found and figures.get("p50") is not None)
            spread = LATENCY.fullmatch(name) or figures.keys() - {"unit", "avg"}
            unread += [f"{name} without p50"] * bool(spread and figures.get("p50") is None)
        elif figures is not None and not IGNORED.fullmatch(name):
            unread.append(name)
    conditions = dict(_asked(_entry(entries, "input_config")))
    if (length := _entry(entries, "input_sequence_length").get("avg")) is not None:
        conditions["input_sequence_length"] = f"{finite(document.source, 'input_sequence_length', length):.2g}"
    averages = {name: _entry(entries, name).get("avg", entries.get(name)) for name in unread}
    fault = _fault(document.source, entries) or told_lost(averages)
    run = collect(document.source, metrics, conditions, fault, unread)
    return [replace(run, left_out=tuple(left_out))]


def _asked(config: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """What was asked for, by the names of the settings; those of the load generator are plain."""
    for key, value in config.items():
        name = f"{path}{key}".removeprefix("loadgen.")
        if isinstance(value, dict):
            yield from _asked(value, f"{path}{key}.")
        elif value is not None and key not in NO_LOAD:
            yield name, str(value)


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
    cancelled = entries.get("was_cancelled")
    if cancelled not in (None, True, False):
        raise UsageError(f"{source}: was_cancelled is {cancelled!r:.40}, neither true nor false; is it unchanged?")
    if cancelled:
        return "it was cancelled"
    answered = _count_of(source, entries, "request_count")
    asked = _entry(_entry(entries, "input_config"), "loadgen").get("request_count")
    short = 0 if answered is None or asked is None else count(source, "request_count", asked) - answered
    return failures(max(_count_of(source, entries, "error_request_count") or 0, short, _summed(source, entries)))


def _count_of(source: str, entries: dict[str, Any], name: str) -> int | None:
    """A count, alone or as the average of an entry; None where it is not told."""
    value = entries.get(name)
    value = value.get("avg") if isinstance(value, dict) else value
    return None if value is None else count(source, name, value)


def _summed(source: str, entries: dict[str, Any]) -> int:
    """The errors that `error_summary` lists: entries with a `count`, or counts by kind."""
    summary = entries.get("error_summary") or []
    if isinstance(summary, dict):
        summary = [summary] if "count" in summary else [{"count": each} for each in summary.values()]
    if not isinstance(summary, list) or not all(isinstance(each, dict) and "count" in each for each in summary):
        raise UsageError(f"{source}: error_summary is {summary!r:.60}, not errors with their count; is it unchanged?")
    return sum(count(source, "error_summary", each["count"]) for each in summary)


def _table(document: Document) -> dict[str, Figures]:
    """The CSV's tables as the JSON would hold them; the last table is about GPUs and is left out."""
    entries: dict[str, Figures] = {}
    columns: list[str] = []
    for row in csv_rows(document.text):
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
            put(document.source, entries, name, {"unit": named["unit"] or ""})
            for statistic, cell in zip(columns, row[1:], strict=False):
                if cell.strip() not in ("", "N/A"):
                    entries[name][statistic] = finite(document.source, f"{statistic} of {name}", cell)
    return entries


def _entry(value: dict[str, Any], key: str) -> dict[str, Any]:
    entry = value.get(key)
    return entry if isinstance(entry, dict) else {}


READS, TELLING = "aiperf's aggregate export, as JSON or CSV", frozenset({"request_throughput"})
READER = Reader("aiperf", READS, _recognises, _read, TELLING)
