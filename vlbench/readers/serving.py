"""What the load generators of vLLM and SGLang have in common: the same way of naming their figures.

Throughputs and, of each latency, the median and the percentiles are read. Means are left out, as one slow request moves
them, and so is the duration, which is the throughput once more.
"""

from __future__ import annotations

import re
from typing import Any

from vlbench.errors import UsageError
from vlbench.record.runs import Better, Metric, Run, collect

LATENCY = re.compile(r"(median|p\d+(\.\d+)?)_\w+_ms")
THROUGHPUT = re.compile(r"(request|input|output|total|total_token|input_sequence)_(throughput|goodput)")
WORKLOAD = (
    "dataset_name",
    "num_prompts",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "random_input_len",
    "random_output_len",
)


def serving_run(source: str, result: dict[str, Any], failed: int) -> Run:
    """The run that `result` describes. A figure of 0 had nothing to measure, such as gaps between single tokens."""
    metrics = []
    for name, value in result.items():
        latency = bool(LATENCY.fullmatch(name))
        if value is None or not (latency or THROUGHPUT.fullmatch(name)):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{source}: {name} is {value!r:.40}, not a number; is the file whole and unchanged?")
        if value == 0:
            continue
        if latency:
            metrics.append(Metric(name, float(value), "ms", Better.LOWER, _samples(name, result)))
        else:
            unit = "requests/s" if name.startswith("request") else "tokens/s"
            metrics.append(Metric(name, float(value), unit, Better.HIGHER))
    conditions = {key: str(result[key]) for key in WORKLOAD if result.get(key) is not None}
    return collect(source, metrics, conditions, f"{failed} of its requests failed" if failed else "")


def count(result: dict[str, Any], name: str) -> int:
    """A count that may be absent."""
    value = result.get(name)
    return value if isinstance(value, int) else 0


def errors(result: dict[str, Any]) -> int:
    """Requests with an error, where the file kept one entry per request."""
    entries = result.get("errors")
    return sum(bool(entry) for entry in entries) if isinstance(entries, list) else 0


def _samples(name: str, result: dict[str, Any]) -> tuple[float, ...]:
    """Milliseconds to the first token of each request, which detailed files keep in seconds; 0 where it failed."""
    times = result.get("ttfts")
    if name != "median_ttft_ms" or not isinstance(times, list):
        return ()
    return tuple(1000 * time for time in times if isinstance(time, int | float) and time > 0)
