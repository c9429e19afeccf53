from __future__ import annotations

from tests.export.rendered import shown
from tests.record.records import group, timed, trial, yardstick
from vlbench.export.result_tables import stage_table
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors


def test_stages_of_a_foreign_tower_are_columns_and_what_is_not_marked_is_not_zero() -> None:
    measured = trial(
        variants=(
            yardstick(stages={"forward": 0.1, "plan": 0.0, "mlp": 0.9}),
            timed("hf-compile", 1.0, stages={"forward": 0.25, "compiled": 0.75}),
        )
    )
    tables = stage_table(group(measured), summaries(group(measured), Floors()))
    _, headings, *rows = (line.split() for line in shown(tables).splitlines())
    assert headings == ["variant", "plan", "patches", "attention", "mlp", "merger", "rest", "compiled"]
    assert rows == [
        ["baseline", "0", "-", "-", "90", "-", "10", "-"],
        ["hf-compile", "-", "-", "-", "-", "-", "25", "75"],
    ]
