"""hyperfine JSON (`--export-json`): one file is one run, each command a metric.

Its times are of processes of their own, but they follow one another within seconds and share whatever else the machine
did then, so that they are the samples of one run. https://github.com/sharkdp/hyperfine
"""

from typing import Annotated

from pydantic import BaseModel, FailFast

from vlbench.readers.document import Document, Reader, validated
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run, collect


class _Result(BaseModel):
    command: str
    median: float
    times: Annotated[tuple[float, ...], FailFast()] = ()
    """Seconds."""
    exit_codes: Annotated[list[int | None], FailFast()] = []


class _File(BaseModel):
    results: Annotated[list[_Result], FailFast()]


def _recognises(document: Document) -> bool:
    results = document.objects[0].get("results") if len(document.objects) == 1 else None
    return isinstance(results, list) and all(isinstance(each, dict) and "command" in each for each in results)


def _read(document: Document) -> list[Run]:
    file = validated(_File, document.objects[0], document.source)
    metrics = [Metric(each.command, each.median, "s", Better.LOWER, each.times) for each in file.results]
    failed = [each.command for each in file.results if any(code != 0 for code in each.exit_codes)]
    return [collect(document.source, metrics, fault=f"{failed[0]!r} ended with an error" if failed else "")]


READER = Reader("hyperfine", "hyperfine --export-json", _recognises, _read)
