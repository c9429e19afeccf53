"""hyperfine JSON (`--export-json`): one file is one run, each command a metric.

Its times are of processes of their own, but they follow one another within seconds and share whatever else the machine
did then, so that they are the samples of one run. https://github.com/sharkdp/hyperfine
"""

from typing import Annotated

from pydantic import BaseModel, FailFast

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, Seconds, timed, unread_keys, validated
from vlbench.record.directions import words_of
from vlbench.record.runs import Run, collect

KNOWN = words_of("command mean stddev median user system min max times exit_codes memory_usage_byte parameters")


class _Result(BaseModel):
    command: str
    mean: Seconds | None = None
    median: Seconds
    times: Annotated[tuple[Seconds, ...], FailFast()] = ()
    """Seconds."""
    exit_codes: Annotated[list[int | None] | None, FailFast()] = None
    """One a time; old versions wrote none."""


class _File(BaseModel):
    results: Annotated[list[_Result], FailFast()]


def _recognises(document: Document) -> bool:
    results = document.objects[0].get("results") if len(document.objects) == 1 else None
    return isinstance(results, list) and all(isinstance(each, dict) and "command" in each for each in results)


def _read(document: Document) -> list[Run]:
    file = validated(_File, document.objects[0], document.source)
    metrics = timed(document.source, ((each.command, each.median, each.times) for each in file.results))
    for each in file.results:
        if each.exit_codes is not None and len(each.exit_codes) != len(each.times):
            counts = f"{len(each.exit_codes)} exit codes for {len(each.times)} times"
            raise UsageError(f"{document.source}: {each.command!r:.60} has {counts}; is the file whole and unchanged?")
    failed = [each.command for each in file.results if any(code != 0 for code in each.exit_codes or ())]
    fault = f"{failed[0]!r} ended with an error" if failed else ""
    strange = [name for each in document.objects[0]["results"] for name in unread_keys(each, KNOWN)]
    silent = ["no exit codes, so failures would not show"] * any(each.exit_codes is None for each in file.results)
    return [collect(document.source, metrics, fault=fault, unread=[*strange, *silent])]


READER = Reader("hyperfine", "hyperfine --export-json", _recognises, _read)
