from __future__ import annotations

import csv
from io import StringIO

import pandas as pd
from hypothesis import given

from tests.export.judged_examples import ANYTHING, AWKWARD, anything, one_of_everything
from vlbench.export.formats.csv import COLUMNS, csv_text
from vlbench.export.sheet import compared
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.untrusted.names import csv_row, line


def test_pandas_opens_it() -> None:
    judged = one_of_everything()
    table = pd.read_csv(StringIO(csv_text(compared(judged)), newline=""))
    assert list(table.columns) == [*COLUMNS, "moves"]
    assert list(table["verdict"]) == [row.verdict for row in judged.rows]
    assert table["gates"].dtype == bool
    assert table.set_index("cell").loc["tiny exact multi-image float32", "ratio"] == 1.07
    awkward = table.set_index("cell").loc[line(AWKWARD)]
    assert str(awkward["moves"]).startswith("host syncs 4 -> 36 (block.attention); read back bytes 32 B -> 2.32 MB")


@anything
@given(ANYTHING)
def test_every_row_comes_back(judged: Judged) -> None:
    read = list(csv.DictReader(StringIO(csv_text(compared(judged)), newline="")))
    cleaned = [csv_row({"cell": row.cell, "reason": row.reason}) for row in judged.rows]
    assert [{name: found[name] for name in ("cell", "reason")} for found in read] == cleaned
    assert [float(found["ratio"]) if found["ratio"] else None for found in read] == [row.ratio for row in judged.rows]


def test_columns_are_fields_of_a_row() -> None:
    assert [name for name in JudgedRow.model_fields if name not in ("moves", "new")] == list(COLUMNS)
