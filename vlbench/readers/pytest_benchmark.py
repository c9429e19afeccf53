"""pytest-benchmark JSON (`--benchmark-json`, `--benchmark-save`): one file is one run, each benchmark a metric.

https://pytest-benchmark.readthedocs.io
"""

from typing import Annotated, Any

from pydantic import BaseModel, FailFast

from vlbench.readers.document import Document, Reader, Seconds, objects_with, timed, unread_keys, validated
from vlbench.record.directions import words_of
from vlbench.record.runs import Run, collect

KNOWN = words_of("group name fullname params param extra_info options stats")
OF_FILE = words_of("machine_info commit_info benchmarks datetime version")


class _Stats(BaseModel):
    mean: Seconds | None = None
    median: Seconds
    data: Annotated[tuple[Seconds, ...], FailFast()] = ()
    """Kept with --benchmark-save-data alone; seconds."""


class _Benchmark(BaseModel):
    fullname: str
    stats: _Stats


class _File(BaseModel):
    benchmarks: Annotated[list[_Benchmark], FailFast()]
    machine_info: dict[str, Any]


def _read(document: Document) -> list[Run]:
    file = validated(_File, document.objects[0], document.source)
    metrics = timed(document.source, ((each.fullname, each.stats.median, each.stats.data) for each in file.benchmarks))
    cpu = file.machine_info.get("cpu") or {}
    brand = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    strange = [name for each in document.objects[0]["benchmarks"] for name in unread_keys(each, KNOWN)]
    strange += unread_keys(document.objects[0], OF_FILE)
    return [collect(document.source, metrics, {"cpu": str(brand)} if brand else {}, unread=strange)]


READS = "pytest --benchmark-json, and what --benchmark-save kept"
TELLING = frozenset({"benchmarks", "machine_info"})
READER = Reader("pytest-benchmark", READS, objects_with(TELLING, several=False), _read, TELLING)
