"""pytest-benchmark JSON (`--benchmark-json`, `--benchmark-save`): one file is one run, each benchmark a metric.

https://pytest-benchmark.readthedocs.io
"""

from typing import Annotated, Any

from pydantic import BaseModel, FailFast

from vlbench.readers.document import Document, Reader, validated
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run, collect


class _Stats(BaseModel):
    median: float
    data: Annotated[tuple[float, ...], FailFast()] = ()
    """Kept with --benchmark-save-data alone; seconds."""


class _Benchmark(BaseModel):
    fullname: str
    stats: _Stats


class _File(BaseModel):
    benchmarks: Annotated[list[_Benchmark], FailFast()]
    machine_info: dict[str, Any]


def _recognises(document: Document) -> bool:
    return len(document.objects) == 1 and {"benchmarks", "machine_info"} <= document.objects[0].keys()


def _read(document: Document) -> list[Run]:
    file = validated(_File, document.objects[0], document.source)
    metrics = [Metric(each.fullname, each.stats.median, "s", Better.LOWER, each.stats.data) for each in file.benchmarks]
    cpu = file.machine_info.get("cpu") or {}
    brand = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    return [collect(document.source, metrics, {"cpu": str(brand)} if brand else {})]


READER = Reader("pytest-benchmark", "pytest --benchmark-json, and what --benchmark-save kept", _recognises, _read)
