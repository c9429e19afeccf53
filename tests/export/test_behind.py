from __future__ import annotations

import pytest

from tests.export.rendered import shown
from tests.record.records import group, reference_tower, timed, trial
from vlbench.export.result_tables import behind_table
from vlbench.export.results import group_parts
from vlbench.export.sheet import records, shown_rows
from vlbench.record.schema import CellGroup, Counts, State, Timing

FEW, MANY = (Counts(aten_operations=each, attention_calls=16) for each in (1_024, 1_186))


def behind(held: float, first_kernel: float | None, queue: float | None = 7.5e-3) -> dict[State, Timing]:
    seconds = tuple(held + 1e-6 * number for number in range(6))
    told = {"queue_seconds": queue, "first_kernel_seconds": first_kernel}
    return {"behind": Timing(seconds=seconds, host_seconds=seconds, **told)}


@pytest.fixture
def measured() -> CellGroup:
    waits = reference_tower(timings=behind(9e-3, 2e-4)).model_copy(update={"counts": FEW})
    runs_ahead = timed("best", 1.0, timings=behind(1e-3, 0.0), counts=FEW)
    fills_it = timed("exact", 1.0, timings=behind(7.5e-3, None), counts=MANY)
    return group(trial(variants=(waits, runs_ahead, fills_it)), device="cuda")


def test_the_table_tells_who_holds_the_host_and_why(measured: CellGroup) -> None:
    (table,) = behind_table(measured)
    assert table.title == "behind 7.50 ms of queued work: ms that the host is held, and to the first kernel"
    assert shown_rows(table) == [
        ["baseline", "9.00", "0.200", ""],
        ["best", "1.00", "0.00", ""],
        ["exact", "7.50", "-", "queue full: 1,186 operations"],
    ]
    assert [row["queue_full"] for row in records([table])] == [False, False, True]
    assert "queue full" in shown(group_parts(measured))


def test_an_older_file_does_not_tell_how_long_the_queue_was() -> None:
    made = group(trial(timed("best", 1.0, timings=behind(1e-3, None, None))), device="cuda")
    (table,) = behind_table(made)
    assert table.title.startswith("behind an unknown length of queued work")


def test_without_that_state_there_is_no_table() -> None:
    assert list(behind_table(group(trial(timed("best", 0.5))))) == []
