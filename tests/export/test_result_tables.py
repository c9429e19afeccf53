from __future__ import annotations

from datetime import UTC, datetime

from vlbench.export.result_tables import ladder_tables
from vlbench.record.exactness import Accuracy
from vlbench.record.fingerprint import take_fingerprint
from vlbench.record.schema import CellGroup, Results, Row, Timing, Trial, VariantTrial

RIGHT = Accuracy(passed=True, exactness="bit-exact", fp32_error=0.0, fp32_limit=0.0)
WRONG = Accuracy(passed=False, exactness="bit-exact", fp32_error=0.5, fp32_limit=0.0, reason="not bit-exact")


def timed(name: str, *seconds: float) -> VariantTrial:
    return VariantTrial(name=name, accuracy=RIGHT, timings={"warm": Timing(seconds=seconds)})


def group(point: str, *variants: VariantTrial, scenario: str = "seam rope") -> CellGroup:
    rows = [Row(name="naive", flags=None, exactness="bit-exact", reference="naive")]
    rows += [Row(name=each.name, flags=(each.name,), exactness="bit-exact", reference="naive") for each in variants[1:]]
    return CellGroup(
        scenario=scenario, point=point, model="m", dtype="float32", device="cpu", weights="random", seed=0, threads=1,
        rows=tuple(rows), trials=(Trial(number=0, seed=0, batch="b", grids=(), variants=variants),),
    )  # fmt: skip


def shown(*groups: CellGroup) -> list[list[str]]:
    """The tables, cell by cell."""
    results = Results(created=datetime.now(UTC), command="", fingerprint=take_fingerprint("cpu"), groups=groups)
    return [list(column) for table in ladder_tables(results) for column in zip(*table.rows, strict=True)]


def test_a_sweep_is_one_table() -> None:
    naive = timed("naive", *[4e-6] * 8)
    columns = shown(
        group("n=1", naive, timed("a", *[2e-6] * 8), timed("b", *[3.9e-6, 4.1e-6] * 4)),
        group(
            "n=2",
            timed("naive", *[4e-3] * 8),
            timed("a", *[8e-3] * 8),
            VariantTrial(name="b", accuracy=WRONG, not_measured="not bit-exact"),
        ),
    )
    assert columns == [
        ["naive", "a", "b"],
        ["0.00400", "(2.00x)", "(1.00x)"],
        ["4.00", "(0.50x)", "FAIL"],
    ]  # one process each


def test_one_point_needs_no_table_and_scenarios_are_apart() -> None:
    naive = timed("naive", *[4e-6] * 8)
    assert shown(group("n=1", naive)) == []
    assert shown(group("n=1", naive), group("n=1", naive, scenario="seam merge")) == []
