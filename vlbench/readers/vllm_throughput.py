"""`vllm bench throughput --output-json`, or what it prints: one file is one run, each pasted block another.

https://github.com/vllm-project/vllm/blob/main/vllm/benchmarks/throughput.py
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vlbench.readers.document import Document, Reader, amount, check_told, objects_with, unread_keys
from vlbench.readers.pasted import Block, pasted_blocks, pasted_number, put
from vlbench.record.directions import Better, words_of
from vlbench.record.runs import Metric, Run, collect

RATES = {"requests_per_second": "requests/s", "tokens_per_second": "tokens/s", "output_tokens_per_second": "tokens/s"}
WORK = {"requests_per_second": "num_requests", "tokens_per_second": "total_num_tokens"}
ASKED = words_of("num_requests total_prompt_tokens")
ANSWERED = words_of("total_num_tokens total_output_tokens")
KNOWN = ASKED | ANSWERED | RATES.keys() | {"elapsed_time"}
TOTALS = {"prompt": "total_prompt_tokens", "output": "total_output_tokens"}
BLIND = re.compile(r".*(image tokens (are )?not|because image tokens).*")
"""The warning that rates of tokens leave the pictures out."""
LINE = re.compile(
    r"Throughput: (?P<requests>\S+) requests/s, (?P<tokens>\S+) (total )?tokens/s(, (?P<output>\S+) output tokens/s)?"
)
TOTAL = re.compile(r"Total num (?P<of>prompt|output) tokens: (?P<count>\S+)")
KNOWN_LINE = re.compile(f"{LINE.pattern}|{TOTAL.pattern}|{BLIND.pattern}")


def _read(document: Document) -> list[Run]:
    if document.objects:
        return [_run(document.where(i), each) for i, each in enumerate(document.objects)]
    unread = ["the tokens of images, which were not counted"] * any(map(BLIND.fullmatch, document.lines))
    return [_pasted(block, unread) for block in pasted_blocks(document.source, document.text, LINE)]


def _pasted(block: Block, unread: list[str]) -> Run:
    rates = LINE.fullmatch(block.lines[0])
    assert rates is not None  # or no block would begin with it
    told: dict[str, Any] = dict(zip(RATES, map(_plain, rates.group("requests", "tokens", "output")), strict=True))
    for total in filter(None, map(TOTAL.fullmatch, block.lines)):
        put(block.source, told, TOTALS[total["of"]], _plain(total["count"]))
    return _run(block.source, told, [*unread, *block.left(KNOWN_LINE)], block.asked)


def _plain(text: str | None) -> float | str | None:
    return text if text is None or (number := pasted_number(text)) is None else number


def _run(
    source: str, result: dict[str, Any], unread: Iterable[str] = (), above: Mapping[str, str] | None = None
) -> Run:
    told = {key: amount(source, key, value) for key, value in result.items() if key in KNOWN and value is not None}
    metrics = [Metric(name, told[name], unit, Better.HIGHER) for name, unit in RATES.items() if name in told]
    check_told(source, metrics, told, WORK, "elapsed_time")
    asked = {**(above or {}), **{key: f"{told[key]:g}" for key in sorted(ASKED & told.keys())}}
    answered = {key: told[key] for key in sorted(ANSWERED & told.keys())}
    return collect(source, metrics, asked, unread=[*unread, *unread_keys(result, KNOWN)], answered=answered)


TELLING = frozenset({"elapsed_time", "requests_per_second", "tokens_per_second"})
READS = "vllm bench throughput --output-json, or what it prints"
READER = Reader("vllm-throughput", READS, objects_with(TELLING, LINE), _read, TELLING)
