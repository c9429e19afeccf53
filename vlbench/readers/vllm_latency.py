"""`vllm bench latency --output-json`, or what it prints: one file is one run, each block of pasted lines another.

Its times are of one process, one after another, so that they are samples of one run. The file does not say what was
asked for. https://github.com/vllm-project/vllm/blob/main/vllm/benchmarks/latency.py
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, FailFast

from vlbench.readers.document import Document, Reader, Seconds, amount, objects_with, timed, unread_keys, validated
from vlbench.readers.pasted import Block, pasted_blocks, put
from vlbench.record.directions import words_of
from vlbench.record.runs import Run, collect

KNOWN = words_of("avg_latency std_latency latencies percentiles")
FIRST = re.compile(r"Avg latency: (\S+) seconds")
LINE = re.compile(r"(\d+)% percentile latency: (\S+) seconds")
KNOWN_LINE = re.compile(f"{FIRST.pattern}|{LINE.pattern}")
READ = {"50": "median_latency", "90": "p90_latency", "99": "p99_latency"}
"""Of the percentiles; the others lie between them."""


class _File(BaseModel):
    avg_latency: Seconds
    latencies: Annotated[tuple[Seconds, ...], FailFast()]
    percentiles: dict[str, Seconds]


def _read(document: Document) -> list[Run]:
    if document.objects:
        file = validated(_File, document.objects[0], document.source)
        return [_run(document.source, file.percentiles, file.latencies, unread_keys(document.objects[0], KNOWN))]
    return [_pasted(block) for block in pasted_blocks(document.source, document.text, FIRST)]


def _pasted(block: Block) -> Run:
    told: dict[str, float] = {}
    for found in filter(None, map(LINE.fullmatch, block.lines)):
        put(block.source, told, found[1], amount(block.source, f"{found[1]}% percentile latency", found[2]))
    return _run(block.source, told, unread=tuple(block.left(KNOWN_LINE)), asked=block.asked)


def _run(
    source: str,
    percentiles: Mapping[str, float],
    samples: tuple[float, ...] = (),
    unread: tuple[str, ...] = (),
    asked: dict[str, str] | None = None,
) -> Run:
    told = ((READ[key], percentiles[key], samples if key == "50" else ()) for key in READ if key in percentiles)
    return collect(source, timed(source, told), asked, unread=unread)


READS = "vllm bench latency --output-json, or what it prints"
TELLING = frozenset({"avg_latency", "latencies", "percentiles"})
READER = Reader("vllm-latency", READS, objects_with(TELLING, FIRST, several=False), _read, TELLING)
