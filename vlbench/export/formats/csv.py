"""CSV: one line per row, figures in full precision and in SI units, empty where there is none.

A comparison has the columns of `COLUMNS`. Tables have `table`, then whatever the tables of the command have: a row has
a figure in each column of its own table, and tables with the same rows are joined.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import TYPE_CHECKING

from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet, records
from vlbench.export.wording import move_in_words
from vlbench.untrusted.names import csv_row

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged

COLUMNS = (
    "cell", "measure", "verdict", "reason", "gates", "before", "after", "unit", "better", "ratio", "low", "high",
    "confidence", "visible", "paired",
)  # fmt: skip
"""As in `JudgedRow`. Programs may rely on these names; new columns go to the end."""


@exporter(
    "csv",
    "Write a line per row, for pandas, here.",
    comparison="a line per row, full precision, stable columns; `pandas.read_csv` opens it",
    tables="a line per row, full precision and SI units: the name of its table, what holds of all of it, its figures",
)
def csv_text(sheet: Sheet) -> str:
    """With a heading, as RFC 4180 has it."""
    return _csv(*table_of_all(sheet))


def table_of_all(sheet: Sheet) -> tuple[list[str], list[Mapping[str, object]]]:
    """The columns and rows of a comparison, or of all tables."""
    if sheet.judged is not None and not sheet.parts:
        return [*COLUMNS, "moves"], list(_rows(sheet.judged))
    found = records(sheet.tables)
    return list(dict.fromkeys(name for record in found for name in record)), list(found)


def _rows(judged: Judged) -> Iterable[Mapping[str, object]]:
    """The last column, `moves`, says in words what moved, `; ` between."""
    for row in judged.rows:
        moves = "; ".join(move_in_words(move) for move in row.moves)
        yield {column: getattr(row, column) for column in COLUMNS} | {"moves": moves}


def _csv(columns: list[str], rows: Iterable[Mapping[str, object]]) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(csv_row(row) for row in rows)
    return out.getvalue()
