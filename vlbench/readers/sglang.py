"""`sglang.bench_serving --output-file`: JSON lines, one run per line.

Lines that were measured under another load (request rate, concurrency, lengths) become rows of their own.
https://docs.sglang.io/developer_guide/bench_serving.html
"""

from __future__ import annotations

from vlbench.readers.document import Document, Reader
from vlbench.readers.serving import serving_run
from vlbench.record.runs import Run


def _recognises(document: Document) -> bool:
    telling = {"median_e2e_latency_ms", "output_throughput", "completed"}
    return bool(document.objects) and all(telling <= each.keys() for each in document.objects)


def _read(document: Document) -> list[Run]:
    return [serving_run(document.where(i), each) for i, each in enumerate(document.objects)]


READER = Reader("sglang", "sglang.bench_serving --output-file", _recognises, _read)
