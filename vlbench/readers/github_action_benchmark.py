"""github-action-benchmark: its `data.js` or external JSON, or the list that its `custom...` tools take.

Of a history, the entries of the newest commit of each suite are the runs, and their tool says which way is good
where it can; elsewhere units and names do. https://github.com/benchmark-action/github-action-benchmark
"""

from typing import Annotated, Any

from pydantic import BaseModel, FailFast, Field

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, unread_keys, validated
from vlbench.record.directions import Better, better_of, words_of
from vlbench.record.runs import Metric, Run, collect

KNOWN = words_of("name value unit range extra")
OF_FILE = words_of("lastUpdate repoUrl entries")
OF_ENTRY = words_of("commit date tool benches")
SAID = {"customBiggerIsBetter": Better.HIGHER, "customSmallerIsBetter": Better.LOWER}
"""The tools by which a person says which way is good."""
TOOLS = dict.fromkeys(words_of("benchmarkjs pytest"), Better.HIGHER) | dict.fromkeys(
    words_of("cargo googlecpp catch2 julia benchmarkdotnet benchmarkluau"), Better.LOWER
)
"""The tools that only count or only time. go and jmh do both, and say it in their units."""


class _Bench(BaseModel):
    name: str
    value: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    unit: str


class _Entry(BaseModel):
    commit: dict[str, Any]
    tool: str
    benches: Annotated[list[_Bench], FailFast()]


class _File(BaseModel):
    entries: dict[str, Annotated[list[_Entry], FailFast(), Field(min_length=1)]]


def _recognises(document: Document) -> bool:
    if len(document.objects) == 1 and READER.telling <= document.objects[0].keys():
        return True
    return bool(document.objects) and all({"name", "value", "unit"} <= each.keys() for each in document.objects)


def _read(document: Document) -> list[Run]:
    whole, source = document.objects[0], document.source
    if "entries" not in whole:
        benches = [validated(_Bench, each, f"{source} entry {i}") for i, each in enumerate(document.objects, 1)]
        unread = [name for each in document.objects for name in unread_keys(each, KNOWN)]
        return [collect(source, _metrics(document, benches, ""), unread=unread)]
    file = validated(_File, whole, source)
    runs = []
    for suite, entries in file.entries.items():
        newest = entries[-1].commit.get("id")
        if not newest and len(entries) > 1:
            told = f"the newest commit of {suite!r:.60} has no id, so that its runs are not told from earlier ones"
            raise UsageError(f"{source}: {told}; give it one, or the newest entry alone")
        for index, entry in enumerate(entries):
            if entry.commit.get("id") == newest:
                raw = whole["entries"][suite][index]
                unread = [*unread_keys(whole, OF_FILE), *unread_keys(raw, OF_ENTRY)]
                unread += [name for each in raw["benches"] for name in unread_keys(each, KNOWN)]
                metrics = _metrics(document, entry.benches, entry.tool)
                runs.append(collect(f"{source} {suite} {str(newest)[:12]}", metrics, {"suite": suite}, unread=unread))
    if not runs:
        raise UsageError(f"{source}: its entries are empty; did the action ever run?")
    return runs


def _metrics(document: Document, benches: list[_Bench], tool: str) -> list[Metric]:
    return [Metric(b.name, b.value, b.unit, _better(document, b, tool)) for b in benches]


def _better(document: Document, bench: _Bench, tool: str) -> Better:
    if tool in SAID:
        return SAID[tool]
    of_unit, of_tool = better_of("", bench.unit), TOOLS.get(tool)
    if of_tool and of_unit and of_tool is not of_unit and bench.name not in document.directions:
        told = f"of the tool {tool}, {of_tool} is better, and of the unit {bench.unit!r:.40} {of_unit}"
        raise UsageError(f"{document.source}: {bench.name!r:.60} says two things: {told}; name the tool that wrote it")
    return of_tool or of_unit or document.better(bench.name, bench.unit)


READS = "github-action-benchmark's data.js or external JSON, or its list of name, unit and value"
READER = Reader("github-action-benchmark", READS, _recognises, _read, frozenset({"lastUpdate", "entries"}))
