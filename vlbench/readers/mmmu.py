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
    r"""['"](?P<name>[^'"]+)['"]: ?\{['"](?P<key>acc|num)['"]: ?(?:np\.\w+\()?([^,{}()]+)\)?, ?"""
    r"""['"](?:acc|num)['"]: ?(?:np\.\w+\()?([^,{}()]+)\)?\}"""
)
BEGIN = re.compile(r"""['"](?P<name>[^'"]+)['"]: ?\{""")
"""Of an entry, whatever it holds."""
HEADER = ["subject", "data num", "acc"]
LINE = re.compile(
    r"(?:(?P<name>\S.*?)\s?[:=] ?)?(?P<share>[\d.]+ ?%?) of (?P<of>[\d,]+)( questions| answers| samples)?"
    r"|(?:(?P<named>\S.*?)\s?[:=] ?)?(?P<right>\d+) ?/ ?(?P<all>\d+)",
    re.ASCII,
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
    shares, unread = [], []
    for each in _shares(document):
        if isinstance(each, str):
            unread.append(f"{each:.60}")
        else:
            shares.append(_metric(document.source, *each))
    return [collect(document.source, list(dict.fromkeys(shares)), unread=unread)]  # the same again says no more


def _shares(document: Document) -> Iterator[Share | str]:
    """Each share; of a dictionary and of a table also what is no share, as it is."""
    if document.objects:
        yield from ((name, str(each["acc"]), str(each["num"])) for name, each in document.objects[0].items())
        return
    lines = [line for line in document.lines if line]
    if ENTRY.search(text := " ".join(lines)):
        for begun in BEGIN.finditer(text):
            entry = ENTRY.match(text, begun.start())
            if entry is None:
                yield begun["name"]
                continue
            first, second = entry[3], entry[4]
            yield (entry["name"], first, second) if entry["key"] == "acc" else (entry["name"], second, first)
    elif (at := _table_at(lines)) is not None:
        for line in lines[at + 1 :]:
            row = cells(line)
            if "|" in line and set(line) - set("|-:+ "):
                yield (row[0], row[2], row[1]) if len(row) == len(HEADER) else line
    else:
        for told in map(LINE.fullmatch, lines):
            assert told is not None  # or it would not have been recognised
            if told["right"]:
                right, of = float(told["right"]), float(told["all"])
                yield told["named"] or "accuracy", str(right / of if of else "nan"), told["all"]
            elif told["share"].isdecimal():
                said = f"{told['share']} of {told['of']}"
                raise UsageError(f"{document.source}: {said} may be a share or a count; write 0.519 of 900 or 467/900")
            else:
                yield told["name"] or "accuracy", told["share"], told["of"]


def _table_at(lines: list[str]) -> int | None:
    return next((at for at, line in enumerate(lines) if [each.lower() for each in cells(line)] == HEADER), None)


def _metric(source: str, name: str, share: str, questions: str) -> Metric:
    value = finite(source, name, share.removesuffix("%").strip()) / (100 if share.endswith("%") else 1)
    asked = count(source, f"the questions of {name}", pasted_number(questions))
    if not 0 <= value <= 1 or not asked:
        raise UsageError(f"{source}: {name!r:.60} is {share} of {questions}, no share of answers; write 0.519 of 900")
    return Metric(name, value, "share", Better.HIGHER, questions=asked)


READER = Reader("mmmu", "MMMU's results, saved or printed, and lines such as MMMU: 0.519 of 900", _recognises, _read)
