"""What SGLang's tests write with `dump_metric`, as JSON lines: one file, which is of one process, is one run.

Metrics are called by test case, name and labels; which way each is good follows from its words or is asked for.
https://github.com/sgl-project/sglang/blob/main/python/sglang/test/test_utils.py
"""

import json
from typing import Any

from vlbench.readers.document import Document, Reader, finite, objects_with, unread_keys
from vlbench.record.directions import words_of
from vlbench.record.runs import Metric, Run, collect

KNOWN = words_of("filename test_case metric_name value ts labels")


def _read(document: Document) -> list[Run]:
    metrics = []
    for index, each in enumerate(document.objects):
        source, name = document.where(index), str(each["metric_name"])
        value = finite(source, name, each.get("value"))
        metrics.append(Metric(_label(each), value, "", document.directions.get(_label(each)) or document.better(name)))
    unread = [name for each in document.objects for name in unread_keys(each, KNOWN)]
    return [collect(document.source, metrics, unread=unread)]


def _label(entry: dict[str, Any]) -> str:
    labels = entry.get("labels") or {}
    pairs = [f"{key}={value}" for key, value in labels.items()] if isinstance(labels, dict) else [json.dumps(labels)]
    return " ".join([f"{entry['test_case']}.{entry['metric_name']}", *pairs])


TELLING = frozenset({"filename", "test_case", "metric_name"})
READS = "what sglang's tests write with dump_metric, as JSON lines"
READER = Reader("sglang-metrics", READS, objects_with(TELLING), _read, TELLING)
