"""A comparison as CSV: one line per row, the columns of `COLUMNS`, full precision, empty where there is no figure."""

from __future__ import annotations

import csv
from io import StringIO

from vlbench.export.judged_words import move_in_words
from vlbench.judging.judged import Judged

COLUMNS = (
    "cell",
    "measure",
    "verdict",
    "reason",
    "gates",
    "before",
    "after",
    "unit",
    "better",
    "ratio",
    "low",
    "high",
    "confidence",
    "visible",
)
"""As in `JudgedRow`. Programs may rely on these names; new columns go to the end."""


def csv_text(judged: Judged) -> str:
    """With a heading, as RFC 4180 has it; the last column, `moves`, says in words what moved, `; ` between."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow((*COLUMNS, "moves"))
    for row in judged.rows:
        moves = "; ".join(move_in_words(move) for move in row.moves)
        writer.writerow([*(getattr(row, column) for column in COLUMNS), moves])
    return out.getvalue()
