"""Towers that make their plan inside of a call, beside the same towers with it handed in."""

from collections.abc import Iterator, Sequence

from vlbench.export import result_tables as tables
from vlbench.export.sheet import Cell, Column, Columns, Table, figure, table_of
from vlbench.judging.summary import Summary
from vlbench.judging.words import milliseconds
from vlbench.record.schema import CellGroup


def plan_tables(group: CellGroup, found: Sequence[Summary]) -> Iterator[Table]:
    """What a call takes with its plan made inside and handed in, and what making it takes; none where none is."""
    handed = [each for each in found if each.row.plan != "inside"]
    others = {each.row.reference for each in handed}
    columns: Columns[Summary] = tables.VARIANT | {
        Column("call", "call_seconds"): lambda each: Cell(
            figure(each.seconds, milliseconds).shown, {"plan": each.row.plan, "call_seconds": each.seconds}
        ),
        Column("making\nit", "plan_seconds"): lambda each: figure(each.plan_seconds, milliseconds),
        Column("both", "with_plan_seconds"): lambda each: figure(_with_plan(each), milliseconds),
    }
    if handed:
        title = "ms with the plan made inside the call, or before it: on the device, or with lengths on the host"
        shown = [each for each in found if each in handed or each.row.name in others]
        yield table_of("variants", shown, columns, facts=tables.facts(group), title=title)


def _with_plan(each: Summary) -> float | None:
    if each.seconds is None or each.row.plan == "inside":
        return each.seconds
    return None if each.plan_seconds is None else each.seconds + each.plan_seconds
