"""The share of each time that a tower cannot do without."""

from __future__ import annotations

from tests.export.groups import voted
from tests.export.rendered import shown
from tests.record.records import failed, group, timed, trial
from vlbench.export.result_tables import times_table, verdict_table
from vlbench.export.results import group_parts
from vlbench.export.sheet import records
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors


def test_where_the_floor_was_in_the_rounds_each_row_says_how_much_of_it_that_is() -> None:
    made = group(trial(timed("best", 0.5), timed("floor", 0.4), failed("window-sort"), timed("rope-cache", 0.4)))
    found = summaries(made, Floors())
    for table in (times_table(made, found), verdict_table(made, found)):
        shares = {row["variant"]: row["of_floor"] for row in records([table])}
        assert [round(shares[name], 6) for name in ("baseline", "best", "floor", "rope-cache")] == [0.4, 0.8, 1, 1]
        assert shares["window-sort"] is None
    text = shown(group_parts(made))
    assert max(map(len, text.splitlines())) <= 80
    best = next(line.split() for line in text.splitlines() if line.startswith("best "))
    assert best[3:5] == ["5.25", "80%"]


def test_without_it_there_is_no_column() -> None:
    made = voted()
    assert "of_floor" not in records([verdict_table(made, summaries(made, Floors()))])[0]
    lost = group(trial(timed("best", 0.5), failed("floor")))
    assert "of_floor" not in records([times_table(lost, summaries(lost, Floors()))])[0]
