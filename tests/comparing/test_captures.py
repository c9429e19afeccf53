from __future__ import annotations

import pandas as pd

from vlbench.comparing.captured import judge_difference
from vlbench.judging.verdict import Verdict
from vlbench.nsys.compare import Difference

COUNTERS = [
    ("worse", "launches", 20.0, 24.0, "up", False),
    ("worse", "syncs", 0.0, 4.0, "appeared", False),
    ("worse", "bytes[h2d]", 9.0, 8.0, "down", False),
    ("better", "launches", 1234567.0, 1.0, "down", False),
]


def difference(**changed: object) -> Difference:
    fields = {
        "obstacles": (),
        "notes": ("made by two versions",),
        "compared": ("worse", "better", "same"),
        "appeared": ("new",),
        "vanished": ("gone",),
        "counters": pd.DataFrame(COUNTERS, columns=["range", "counter", "a", "b", "change", "per_instance"]),
        "times": pd.DataFrame(columns=["range", "time", "a", "b"]),
    }
    return Difference(**(fields | changed))  # type: ignore[arg-type]


def test_each_range_has_its_row_and_a_new_one_is_noted() -> None:
    found = judge_difference(difference(), "a", "b")
    assert [(row.cell, row.verdict) for row in found.rows] == [
        ("gone", Verdict.MISSING),
        ("worse", Verdict.REGRESSED),
        ("better", Verdict.IMPROVED),
        ("same", Verdict.SAME),
    ]
    assert found.exit_code == 6
    assert found.notes == ("made by two versions", "the range new is new")


def test_a_row_says_what_rose_first_and_keeps_what_fell() -> None:
    rows = {row.cell: row for row in judge_difference(difference(vanished=()), "a", "b").rows}
    assert rows["worse"].reason == "launches rose from 20 to 24, and 1 more"
    assert [(move.name, move.unit) for move in rows["worse"].moves] == [
        ("launches", ""),
        ("syncs", ""),
        ("bytes[h2d]", "B"),
    ]
    assert rows["better"].reason == "launches fell from 1,234,567 to 1"
    assert judge_difference(difference(vanished=()), "a", "b").exit_code == 3


def test_captures_that_do_not_compare_are_one_missing_row() -> None:
    found = judge_difference(difference(obstacles=("other GPUs", "no ranges")), "a", "b")
    (row,) = found.rows
    assert (row.verdict, row.reason) == (Verdict.MISSING, "they do not compare: other GPUs; no ranges")
    assert found.exit_code == 6
