"""Parquet: the columns and rows of `--csv` with their types, written by pandas with pyarrow (`vlbench[parquet]`)."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from vlbench.export.formats.csv import table_of_all
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet


@exporter(
    "parquet",
    "Write the rows of --csv as Parquet here; needs vlbench[parquet].",
    comparison="the rows and columns of `--csv` with their types; `pandas.read_parquet` opens it",
    tables="the same rows and columns as `--csv`, with their types",
    package="pyarrow",
)
def parquet_text(sheet: Sheet) -> bytes:
    """A whole file; what is not known is null."""
    import pandas as pd

    columns, rows = table_of_all(sheet)
    made = {name: _column(rows, name) for name in columns}
    frame = pd.DataFrame({name: pd.Series(values, dtype=dtype) for name, (values, dtype) in made.items()})
    out = BytesIO()
    frame.to_parquet(out, engine="pyarrow", index=False)
    return out.getvalue()


def _column(rows: Sequence[Mapping[str, object]], name: str) -> tuple[list[Any], Any]:
    """Its values and their type in pandas; a column that has words in one table and figures in another holds words."""
    values = [row.get(name) for row in rows]
    kinds = {type(value) for value in values if value is not None}
    large = kinds == {int} and max(abs(value) for value in values if isinstance(value, int)) >= 2**63
    for dtype, allowed in (("boolean", {bool}), ("Int64", set() if large else {int}), ("Float64", {int, float})):
        if kinds and kinds <= allowed:
            return values, dtype
    return [value if value is None else str(value) for value in values], "string" if kinds else "object"
