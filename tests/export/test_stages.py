from __future__ import annotations

import pytest

from tests.export.rendered import shown
from tests.record.records import group, reference_tower, timed, trial
from vlbench.export.result_tables import stage_table
from vlbench.export.sheet import records
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors


def test_shares_have_an_interval_over_the_rounds_of_all_trials() -> None:
    rounds = {"forward": (0.5, 0.5, 0.5), "mlp": (0.5, 0.4, 0.6)}
    made = group(*(trial(variants=(reference_tower(stages=rounds),), number=number) for number in range(2)))
    (table,) = stage_table(made, summaries(made, Floors()))
    assert shown([table]).splitlines()[-1].split() == ["baseline", "-", "-", "-", "50", "±6", "-", "50", "±6"]
    (record,) = records([table])
    assert (record["share_mlp"], record["share_mlp_high"]) == (pytest.approx(0.5), pytest.approx(0.6 / 1.1))


def test_where_no_stage_is_marked_there_is_nothing_to_show() -> None:
    made = group(
        trial(variants=(reference_tower(stages={"forward": (0.5, 0.6)}), timed("a", 1.0, stages={"forward": 1.0})))
    )
    assert [*stage_table(made, summaries(made, Floors()))] == []


def test_stages_of_a_foreign_tower_are_columns_and_what_is_not_marked_is_not_zero() -> None:
    measured = trial(
        variants=(
            reference_tower(stages={"forward": 0.1, "plan": 0.0, "mlp": 0.9}),
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
