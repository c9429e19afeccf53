"""`vllm bench mm-processor --output-json`, or what it prints: the stages before the language model, the encoder's too.

Of each stage and of whole requests, the median and the percentiles are read, in milliseconds; a stage of 0 was not
entered. https://github.com/vllm-project/vllm/blob/main/vllm/benchmarks/mm_processor.py
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field, NonNegativeInt

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, amount, objects_with, unread_keys, validated
from vlbench.readers.pasted import pasted_blocks, put
from vlbench.readers.serving import lost_requests, told_lost
from vlbench.record.directions import Better, words_of
from vlbench.record.runs import Metric, Run, collect

KNOWN = words_of(
    "completed failed mean_e2el_ms median_e2el_ms std_e2el_ms percentiles_e2el_ms mm_processor_stats encoder_summary "
    "config timestamp"
)
STATISTIC = re.compile(r"median|p\d+(\.\d+)?")
IGNORED = words_of("mean std")
HEADER = re.compile(r"Stage( (Mean|Median|Std|P[\d.]+))+")
REQUESTS = re.compile(r"(Mean|Median|Std|P[\d.]+) \S+")
CALLS = re.compile(r"Summary: (\d+) total encoder calls across (\d+) requests\.?")
TITLES = r"End-to-End Latency \(ms\):|Metric Value \(ms\)"
KNOWN_LINE = re.compile(f"{HEADER.pattern}|{REQUESTS.pattern}|{CALLS.pattern}|{TITLES}")
Figure = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Stages = dict[str, dict[str, float]]
"""By stage and statistic."""


class _File(BaseModel):
    mm_processor_stats: dict[str, dict[str, Figure]]
    mean_e2el_ms: Figure = 0.0
    median_e2el_ms: Figure
    percentiles_e2el_ms: list[tuple[Figure, Figure]]
    config: dict[str, Any] = {}
    encoder_summary: dict[str, NonNegativeInt] = {}


def _read(document: Document) -> list[Run]:
    if not document.objects:
        return [_pasted(document)]
    runs = []
    for index, each in enumerate(document.objects):
        file = validated(_File, each, source := document.where(index))
        whole = {"median": file.median_e2el_ms} | {f"p{at:g}": value for at, value in file.percentiles_e2el_ms}
        metrics, unread = _metrics({**file.mm_processor_stats, "e2el": whole})
        asked = {key: str(value) for key, value in file.config.items() if value is not None}
        strange = unread_keys(each, KNOWN)
        fault = lost_requests(source, {**each, "num_prompts": asked.get("num_prompts")})
        fault = fault or told_lost({name: each[name] for name in strange})
        unread += strange
        runs.append(collect(source, metrics, asked, fault, unread, {**file.encoder_summary}))
    return runs


def _metrics(stages: Stages) -> tuple[list[Metric], list[str]]:
    """What is judged, and what is not understood."""
    metrics, unread = [], []
    for stage, statistics in stages.items():
        unit = "calls" if stage == "num_encoder_calls" else "ms"
        for name, value in statistics.items():
            if STATISTIC.fullmatch(name):
                metrics += [Metric(f"{name.removesuffix('.0')}_{stage}", value, unit, Better.LOWER)] * (value > 0)
            elif name not in IGNORED:
                unread.append(f"{name} of {stage}")
    if not any(statistics.get("median") for stage, statistics in stages.items() if stage != "e2el"):
        unread.append("the stages, of which none was timed")
    return metrics, unread


def _pasted(document: Document) -> Run:
    """The run of the two tables, whose rows are stages, and statistics of whole requests."""
    source, blocks = document.source, pasted_blocks(document.source, document.text, HEADER)
    if len(blocks) > 1:
        raise UsageError(f"{source} holds two tables of stages; give each run a file of its own")
    (block,) = blocks
    columns = [column.lower() for column in block.lines[0].split()[1:]]
    stages: Stages = {}
    answered: dict[str, float] = {}
    rows: set[str] = set()
    for line in block.lines[1:]:
        first, *figures = line.split() or [""]
        if REQUESTS.fullmatch(line):
            value = amount(source, f"{first} of requests", figures[0])
            put(source, stages.setdefault("e2el", {}), first.lower().removesuffix(".0"), value)
        elif calls := CALLS.fullmatch(line):
            put(source, answered, "total_encoder_calls", amount(source, "calls", calls[1]))
            answered["num_requests_with_encoder_calls"] = amount(source, "requests", calls[2])
        elif len(figures) == len(columns) and "e2el" not in stages and re.fullmatch(r"\w+", first):
            told = [amount(source, f"{name} of {first}", each) for name, each in zip(columns, figures, strict=True)]
            put(source, stages, first, dict(zip(columns, told, strict=True)))
            rows.add(f"{line:.60}")  # as `left` cuts it
    metrics, unread = _metrics(stages)
    left = [line for line in block.left(KNOWN_LINE) if line not in rows]
    return collect(source, metrics, block.asked, unread=[*unread, *left], answered=answered)


READS = "vllm bench mm-processor --output-json, or what it prints"
TELLING = frozenset({"mm_processor_stats", "percentiles_e2el_ms"})
READER = Reader("vllm-mm-processor", READS, objects_with(TELLING, HEADER), _read, TELLING)
