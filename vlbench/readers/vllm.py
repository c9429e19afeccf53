"""`vllm bench serve --save-result` or `--append-result`: one JSON object is one run.

https://docs.vllm.ai/en/latest/benchmarking/cli
"""

from __future__ import annotations

from vlbench.readers.document import Document, Reader
from vlbench.readers.serving import serving_run
from vlbench.record.runs import Run


def _recognises(document: Document) -> bool:
    telling = {"request_throughput", "total_token_throughput", "model_id"}
    return bool(document.objects) and all(telling <= each.keys() for each in document.objects)


def _read(document: Document) -> list[Run]:
    return [serving_run(document.where(i), each) for i, each in enumerate(document.objects)]


READER = Reader("vllm", "vllm bench serve --save-result or --append-result", _recognises, _read)
