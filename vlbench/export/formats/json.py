"""JSON: what the command documents as its own, all of a comparison, or else its tables as records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vlbench.export.registry import Goal, exporter
from vlbench.export.sheet import Sheet, records
from vlbench.export.wording import false_rows
from vlbench.untrusted import names

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged


@exporter(
    "json",
    "Print JSON in place of tables.",
    comparison="one object on stdout and nothing else there: every row, every move, `exit_code`, `expected_false_rows`",
    tables="the command's own document on stdout, such as the whole results file",
    goal=Goal.STDOUT,
    clean=names.json_text,
)
def json_text(sheet: Sheet) -> str:
    """One document, indented. A figure that is not finite is a string, as JSON has no number for it."""
    found = document_of(sheet.judged) if sheet.judged is not None and not sheet.parts else records(sheet.tables)
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)


def document_of(judged: Judged) -> dict[str, object]:
    """All of `Judged`, its exit code and how many false rows to expect."""
    whole = json.loads(judged.model_dump_json())
    return {**whole, "expected_false_rows": false_rows(judged), "exit_code": int(judged.exit_code)}
