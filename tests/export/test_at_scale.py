"""The table of what rows ask of a GPU at full size."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.export.groups import quick_look
from tests.export.rendered import shown
from tests.record.records import results
from vlbench.api.measured import Measured
from vlbench.export.results import group_parts, results_parts
from vlbench.export.sheet import Table, records
from vlbench.record.at_scale import AtScale, PredictedSpan, RowAtScale
from vlbench.record.counts import Tally
from vlbench.record.schema import CellGroup

WARM = Tally(
    host_syncs=42_128, uploads=3, implicit_uploads=1, attention_calls=7_016, device_operations=8_676, read_backs=42_124
)

SPAN = PredictedSpan(gpu="h100", spans=(1.4302, 3.454))


def counted() -> CellGroup:
    group = quick_look()
    more = {"cold": Tally(attention_plans=12), "warm": WARM, "predicted": (SPAN,)}
    rows = [RowAtScale(name=each.name, tower=each.name, **more) for each in group.rows]
    rows[1] = rows[1].model_copy(update={"predicted": (PredictedSpan(gpu="h100", failed="too little of it is known"),)})
    rows[-1] = RowAtScale(name=group.rows[-1].name, tower="mine:make", failed="mine.py:3 opens no file")
    at_scale = AtScale(
        model="qwen2.5-vl-7b",
        point="",
        grids=((1, 34, 46), (1, 216, 288)),
        dtype="bfloat16",
        profile="sm_90",
        cudnn="9.19",
        rows=tuple(rows),
        seconds=31.5,
    )
    return CellGroup.model_validate_json(group.model_copy(update={"at_scale": at_scale}).model_dump_json())


def test_each_row_has_its_counters_beside_its_check_and_its_speed_up() -> None:
    group = counted()
    text = shown(group_parts(group))
    assert max(map(len, text.splitlines())) <= 80
    assert "counted, not timed: qwen2.5-vl-7b, bfloat16, 2 grids, 63,772 patches" in text
    table = text[text.index("counted, not timed") : text.index("predicted, not measured")]
    (reference,) = (line for line in table.splitlines() if line.startswith("baseline"))
    assert reference.split() == ["baseline", "pass", "1", "42,128", "4", "7,016", "8,676", "12"]
    (wrong,) = (line for line in table.splitlines() if line.startswith("window-sort "))
    assert wrong.split()[1:3] == ["FAIL", "-"]
    last = group.rows[-1].name
    assert f"{last}: not counted: mine.py:3 opens no file" in " ".join(table.split())
    assert "What this means" in text


def test_what_is_predicted_has_a_table_of_its_own_and_is_called_so() -> None:
    group = counted()
    (table,) = (part for part in group_parts(group) if isinstance(part, Table) and part.name == "predicted_at_scale")
    assert "predicted, not measured" in table.title
    assert not {"seconds", "speed_up", "host_syncs"} & {each.key for each in table.heads}
    rows = {each["variant"]: each for each in records([table])}
    first, second = (rows[each.name] for each in group.rows[:2])
    assert (first["predicted_low"], first["predicted_high"]) == (1.4302, 3.454)
    assert second["predicted_low"] is None
    third = rows[group.rows[2].name]
    assert (third["predicted_ratio_low"], third["predicted_ratio_high"]) == (1, 1)
    text = " ".join(shown(group_parts(group)).split())
    assert "1,430 3,450 not told apart" in text
    assert first["predicted_ratio_low"] is None  # it is held against nothing
    assert f"{group.rows[1].name}: not predicted: too little of it is known" in text
    assert len(table.rows) == len(group.rows) - 1  # that of what was not counted is left out


def test_programs_get_the_figures() -> None:
    group = counted()
    (table,) = (part for part in group_parts(group) if isinstance(part, Table) and part.name == "at_scale")
    first = records([table])[0]
    assert first["model"] == "qwen2.5-vl-7b"
    assert (first["host_syncs"], first["first_attention_plans"], first["passed"]) == (42_128, 12, True)
    rows = Measured(results(group)).table()
    assert rows["at_scale_device_operations"].iloc[0] == 8_676
    assert rows["at_scale_host_syncs"].isna().sum() == 1  # what was not counted is no zero


def test_where_nothing_was_counted_there_is_no_table() -> None:
    assert "counted, not timed" not in shown(results_parts(results(quick_look())))


def test_counts_are_of_rows_of_the_group() -> None:
    group = counted()
    assert group.at_scale is not None
    strange = group.at_scale.model_copy(update={"rows": (RowAtScale(name="no-such", tower="x", failed="y"),)})
    with pytest.raises(ValidationError, match="the counted row 'no-such' is no row of the group"):
        CellGroup.model_validate_json(group.model_copy(update={"at_scale": strange}).model_dump_json())


def test_rows_that_are_not_in_the_table_are_named() -> None:
    group = counted()
    assert group.at_scale is not None
    handed, slowed = group.rows[1].name, group.rows[2].name
    left = tuple(each for each in group.at_scale.rows if each.name not in (handed, slowed))
    changed = {handed: {"plan": "host"}, slowed: {"slow_down": 0.03}}
    rows = tuple(each.model_copy(update=changed.get(each.name, {})) for each in group.rows)
    at_scale = group.at_scale.model_copy(update={"rows": left})
    made = group.model_copy(update={"at_scale": at_scale, "rows": rows})
    text = " ".join(shown(group_parts(made)).split())
    assert f"{handed}: not in this table: its plan is handed in" in text
    assert f"{slowed}: not in this table: it is slowed down on purpose" in text
