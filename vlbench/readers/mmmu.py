"""Shares of right answers with how many questions were asked: MMMU's results, and lines such as `MMMU: 0.519 of 900`.

Read are the dictionary that MMMU's and SGLang's scripts print or save, MMMU's printed table, and lines whose share is
0.519, 51.9 % or 467/900. https://github.com/MMMU-Benchmark/MMMU/blob/main/mmmu/print_results.py
https://github.com/sgl-project/sglang/blob/main/benchmark/mmmu/eval_utils.py
"""

import re
from collections.abc import Iterator

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, count, finite
from vlbench.readers.pasted import cells, pasted_number
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run, collect

Share = tuple[str, str, str]
"""Name, share and count, as written."""
ENTRY = re.compile(
    r"""['"](?P<name>[^'"]+)['"]: ?\{['"](?P<key>acc|num)['"]: ?([^,{}]+), ?['"](?:acc|num)['"]: ?([^,{}]+)\}"""
)
HEADER = ["subject", "data num", "acc"]
LINE = re.compile(
    r"(?:(?P<name>\S.*?)\s?[:=] ?)?(?P<share>[\d.]+ ?%?) of (?P<of>[\d,]+)( questions| answers| samples)?"
    r"|(?:(?P<named>\S.*?)\s?[:=] ?)?(?P<right>\d+) ?/ ?(?P<all>\d+)"
)


def _recognises(document: Document) -> bool:
    if document.objects:
        values = list(document.objects[0].values()) if len(document.objects) == 1 else []
        return bool(values) and all(isinstance(each, dict) and {"acc", "num"} == each.keys() for each in values)
    lines = [line for line in document.lines if line]
    return (
        bool(ENTRY.search(" ".join(lines)))
        or _table_at(lines) is not None
        or (bool(lines) and all(map(LINE.fullmatch, lines)))
    )


def _read(document: Document) -> list[Run]:
    told = dict.fromkeys(_metric(document.source, *each) for each in _shares(document))  # the same again says no more
    return [collect(document.source, list(told))]


def _shares(document: Document) -> Iterator[Share]:
    if document.objects:
        yield from ((name, str(each["acc"]), str(each["num"])) for name, each in document.objects[0].items())
        return
    lines = [line for line in document.lines if line]
    if entries := list(ENTRY.finditer(" ".join(lines))):
        for entry in entries:
            first, second = entry[3], entry[4]
            yield (entry["name"], first, second) if entry["key"] == "acc" else (entry["name"], second, first)
    elif (at := _table_at(lines)) is not None:
        for row in map(cells, lines[at + 1 :]):
            if len(row) == len(HEADER) and not set(row[0]) <= set("-:+ "):
                yield row[0], row[2], row[1]
    else:
        for line in map(LINE.fullmatch, lines):
            assert line is not None  # or it would not have been recognised
            if line["right"]:
                right, of = int(line["right"]), int(line["all"])
                yield line["named"] or "accuracy", str(right / of if of else "nan"), line["all"]
            else:
                yield line["name"] or "accuracy", line["share"], line["of"]


def _table_at(lines: list[str]) -> int | None:
    return next((at for at, line in enumerate(lines) if [each.lower() for each in cells(line)] == HEADER), None)


def _metric(source: str, name: str, share: str, questions: str) -> Metric:
    value = finite(source, name, share.removesuffix("%").strip()) / (100 if share.endswith("%") else 1)
    asked = count(source, f"the questions of {name}", pasted_number(questions))
    if not 0 <= value <= 1 or not asked:
        raise UsageError(f"{source}: {name!r:.60} is {share} of {questions}, no share of answers; write 0.519 of 900")
    return Metric(name, value, "share", Better.HIGHER, questions=asked)


READER = Reader("mmmu", "MMMU's results, saved or printed, and lines such as MMMU: 0.519 of 900", _recognises, _read)
