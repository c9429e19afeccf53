"""A comparison as one JSON object: all of `Judged`, its exit code and how many false rows to expect."""

from __future__ import annotations

import json

from vlbench.export.judged_words import false_rows
from vlbench.judging.judged import Judged


def json_text(judged: Judged) -> str:
    """Indented. A figure that is not finite is a string, as JSON has no number for it."""
    whole = json.loads(judged.model_dump_json())
    return json.dumps(
        {**whole, "expected_false_rows": false_rows(judged), "exit_code": int(judged.exit_code)},
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )
