"""SARIF 2.1.0 for code scanning: each line that waits, copies, ends a capture or got worse is a result at its line.

Files are named from the root of the repository. What is in none of its files, or has no line, cannot be shown beside
code: it is a notification of the run. https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from vlbench.export.formats.github import Locate, locator
from vlbench.export.registry import exporter
from vlbench.export.rules import rule_of, rules
from vlbench.export.sheet import Level, LineFound, Sheet
from vlbench.export.wording import fails, line_in_words, ordered, pair
from vlbench.judging.exit_codes import FAILURES, ExitCode
from vlbench.judging.words import few
from vlbench.untrusted.names import json_text, line
from vlbench.version import __version__

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged, JudgedRow
    from vlbench.record.site import Where

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "vlbenchLine/v1"
CELLS = 3
"""Cells that are named in one result."""
SENTENCES = 500


class _Place(NamedTuple):
    """Where a result is shown, and what tells it from others there; sorted by file and line."""

    uri: str
    line: int
    rule: str
    told: str
    source: str


def _left_out(sheet: Sheet) -> str:
    """The lines that are in no file of the repository."""
    _, homeless = _placed(sheet, locator())
    if not homeless:
        return ""
    names = dict.fromkeys(each.chain[0].place or "a line without a file" for each in homeless)
    return f"in no file of this repository, so notifications of the run: {few(list(names), CELLS)}"


@exporter(
    "sarif",
    "Write SARIF 2.1.0 for code scanning here.",
    comparison="a result at each line that got worse, with a fingerprint that does not move with it; other failures "
    "are notifications",
    tables="of `count` each line that waits or copies, of `count --capture` each that ends a capture; of others what "
    "failed; refused by commands that check nothing",
    verdicts=True,
    left_out=_left_out,
    clean=json_text,
)
def sarif_text(sheet: Sheet) -> str:
    """A log of one run."""
    judged = sheet.judged
    assert judged is not None  # a command that judges nothing refuses before it gets here
    placed, homeless = _placed(sheet, locator())
    names = sorted({place.rule for place in placed})
    told = [
        _notification("note", f"{each.chain[0].place or 'no line'}: {_message(each.told, [each])}") for each in homeless
    ]
    told += [_notification("error", f"{line(row.cell)}: {row.reason}") for row in _without_a_line(judged)]
    run = {
        "tool": {"driver": {"name": "vlbench", "version": __version__, "rules": [_rule(name) for name in names]}},
        "automationDetails": {"id": f"{sheet.title}/"},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": judged.finding is not ExitCode.MISSING,
                "exitCode": int(judged.exit_code),
                "toolExecutionNotifications": told,
            }
        ],
        "results": list(_results(placed, names)),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, allow_nan=False)


def _placed(sheet: Sheet, locate: Locate) -> tuple[dict[_Place, list[LineFound]], list[LineFound]]:
    """What was found at each line of the repository, and what is in none of its files."""
    moved = () if sheet.judged is None else _moved(sheet.judged)
    placed: dict[_Place, list[LineFound]] = {}
    homeless: dict[tuple[str, str, Where], LineFound] = {}
    for each in [*sheet.lines, *moved]:
        at = _first_here(each.chain, locate)
        if at is None:
            homeless.setdefault((each.rule, each.told, each.chain[0]), each)
        else:
            where, uri = at
            placed.setdefault(_Place(uri, where.line or 1, each.rule, each.told, where.source), []).append(each)
    return placed, list(homeless.values())


def _first_here(chain: Iterable[Where], locate: Locate) -> tuple[Where, str] | None:
    for where in chain:
        if where.file and where.line and (uri := locate(where.file)):
            return where, uri
    return None


def _moved(judged: Judged) -> Iterator[LineFound]:
    """Lines that got worse, in rows that are worse."""
    from vlbench.record.site import Where

    for row in ordered(judged):
        if row.verdict not in FAILURES:
            continue
        level: Level = "error" if fails(row, judged) else "warning"
        for move in row.moves:
            if move.kind == "line" and move.after > move.before:
                event, whole = line_in_words(move)
                source, *through = whole.split(", through ", 1)
                where = Where(source, move.file, move.line)
                often = "{} -> {}".format(*pair(move.before, move.after, move.unit))
                told = f"{event.removesuffix(often).strip()}: {source}"
                often += f", through {through[0]}," if through else ""
                yield LineFound(rule_of(move.name), level, (where,), told, often, row.cell, move.advice)


def _without_a_line(judged: Judged) -> list[JudgedRow]:
    """Rows that fail, and of which no line says why."""
    lines = {row.cell for row in judged.rows for move in row.moves if move.kind == "line" and move.after > move.before}
    return [row for row in judged.rows if fails(row, judged) and row.cell not in lines]


def _results(placed: Mapping[_Place, list[LineFound]], names: list[str]) -> Iterator[dict[str, object]]:
    """In the order of files and lines, which numbers those that are alike."""
    alike: Counter[str] = Counter()
    for place in sorted(placed):
        found = placed[place]
        levels = {each.level for each in found}
        print_ = sha256("\0".join([place.rule, place.uri, "".join(place.source.split()), place.told]).encode())
        mark = print_.hexdigest()[:16]
        alike[mark] += 1
        region = {"startLine": place.line, "snippet": {"text": line(place.source, SENTENCES)}}
        artifact = {"uri": quote(place.uri), "uriBaseId": ROOT}
        result: dict[str, object] = {
            "ruleId": place.rule,
            "ruleIndex": names.index(place.rule),
            "level": next(each for each in ("error", "warning", "note") if each in levels),
            "message": {"text": _message(place.told, found)},
            "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
            "partialFingerprints": {FINGERPRINT: f"{mark}:{alike[mark]}"},
        }
        if all(each.allowed for each in found):
            result["suppressions"] = [{"kind": "inSource", "justification": line(found[0].allowed, SENTENCES)}]
        yield result


def _message(told: str, found: Iterable[LineFound]) -> str:
    each = list(found)
    cells = few(list(dict.fromkeys(f"{one.often} in {line(one.cell)}" for one in each)), CELLS)
    advice = f" Advice: {line(each[0].advice)}." if each[0].advice else ""
    return f"{line(told, SENTENCES)} ({cells}).{advice}"


def _notification(level: str, text: str) -> dict[str, object]:
    return {"level": level, "message": {"text": line(text, SENTENCES)}}


def _rule(name: str) -> dict[str, object]:
    title, told = rules()[name]
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": told},
        "help": {"text": told, "markdown": told},
        "properties": {"tags": ["performance"], "precision": "very-high"},
    }
