"""What `vllm bench serve` and `sglang.bench_serving` print, as pasted into a pull request: each table is one run.

Its lines are the keys of the result files under other names, of all years since 2023. Neither tool prints how many
requests it sent; that is taken from the command or the arguments above a table, where they were pasted too. A table
ends at its lowest rule, not at a blank line, and a figure of it outside of any table is refused.
https://github.com/vllm-project/vllm/blob/main/vllm/benchmarks/serve.py
https://github.com/sgl-project/sglang/blob/main/python/sglang/bench_serving.py
"""

import re
from collections.abc import Iterator
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader
from vlbench.readers.pasted import pasted_number, put
from vlbench.readers.serving import LATENCY, SPREAD, THROUGHPUT, serving_run
from vlbench.record.runs import Run

TITLE = re.compile(r"=+ ?Serving Benchmark Result ?=+", re.IGNORECASE)
RULE = re.compile(r"[=-]{2}[^:]*(?<=[=-])|Per-position acceptance[^:]*:")
LINE = re.compile(r"(?P<label>[^:]+): ?(?P<value>.*)")
SENT = re.compile(
    r"(?:num[-_ ]prompts?|(?:total|number of) (?:requests|prompts))[\"']?[ =:]+[\"']?"
    r"(?P<count>\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)?)(?P<thousands>k?)\b",
    re.IGNORECASE | re.ASCII,
)
KEYS = {
    "successful_requests": "completed",
    "failed_requests": "failed",
    "total_requests": "num_prompts",
    "benchmark_duration_s": "duration",
    "traffic_request_rate": "request_rate",
    "request_rate_configured_rps": "request_rate",
    "max_request_concurrency": "max_concurrency",
    "maximum_request_concurrency": "max_concurrency",
    "total_generated_tokens": "total_output_tokens",
    "total_generated_tokens_retokenized": "total_output_tokens_retokenized",
    "request_throughput_req_s": "request_throughput",
    "request_goodput_req_s": "request_goodput",
    "input_throughput_inputs_s": "input_sequence_throughput",
    "input_token_throughput_tok_s": "input_throughput",
    "output_token_throughput_tok_s": "output_throughput",
    "total_token_throughput_tok_s": "total_token_throughput",
    "peak_output_token_throughput_tok_s": "max_output_tokens_per_s",
    "peak_concurrent_requests": "max_concurrent_requests",
    "rtfx_inverse_real_time_factor": "rtfx",
}
"""Labels whose key is not made of the same words."""


def _read(document: Document) -> list[Run]:
    tables = list(_tables(document))
    names = [f" table {number}" if len(tables) > 1 else "" for number in range(1, len(tables) + 1)]
    return [serving_run(document.source + name, table) for name, table in zip(names, tables, strict=True)]


def _tables(document: Document) -> Iterator[dict[str, Any]]:
    sent: int | None = None
    table: dict[str, Any] | None = None
    for line in document.lines:
        if TITLE.fullmatch(line):
            if table:
                yield _finished(table, sent)
            table = {}
        elif table is None:
            _check_outside(document.source, line)
            sent = max(map(_sent, SENT.finditer(line)), default=sent)
        elif table and re.fullmatch("=+", line):
            yield _finished(table, sent)
            sent, table = None, None
        elif line and not RULE.fullmatch(line):
            _add(document.source, table, line)
    if table:
        yield _finished(table, sent)


def _sent(found: re.Match[str]) -> int:
    return round(float(found["count"].replace(",", "")) * (1000 if found["thousands"] else 1))


def _check_outside(source: str, line: str) -> None:
    """Raises UsageError where a line outside of the tables is a figure of one."""
    found = LINE.fullmatch(line)
    if found is None or pasted_number(found["value"]) is None:
        return
    key = _key(found["label"])
    if key in ("completed", "failed") or any(each.fullmatch(key) for each in (LATENCY, THROUGHPUT, SPREAD)):
        raise UsageError(f"{source}: {line!r:.60} is outside of the table; paste it as it was printed")


def _key(label: str) -> str:
    """The key of a result file that a label is."""
    words = re.sub("_+", "_", re.sub(r"(?<!\d)\.|[^\w.]+", "_", label.lower())).strip("_")
    return KEYS.get(words, words)


def _add(source: str, table: dict[str, Any], line: str) -> None:
    found = LINE.fullmatch(line)
    if found is None:
        raise UsageError(f"{source}: the table holds {line!r:.60}, no name and value; paste it as it was printed")
    key = _key(found["label"])
    number = pasted_number(found["value"])
    told = number if number is not None else None if found["value"] in ("not set", "None") else found["value"]
    put(source, table, key, told)


def _finished(table: dict[str, Any], sent: int | None) -> dict[str, Any]:
    """With SGLang's name of the total, which has a backend, and how many requests were sent, where that can be."""
    if "backend" in table and "total_token_throughput" in table:
        table["total_throughput"] = table.pop("total_token_throughput")
    completed = table.get("completed")
    if sent is not None and isinstance(completed, float) and completed <= sent:
        table.setdefault("num_prompts", sent)
    return table


READS = "tables that vllm bench serve and sglang.bench_serving print, as pasted"
READER = Reader("serving-table", READS, lambda of: not of.objects and any(map(TITLE.fullmatch, of.lines)), _read)
