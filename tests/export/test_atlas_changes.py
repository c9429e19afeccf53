"""What a release changed, as the page of the atlas has it."""

from __future__ import annotations

from tests.surveying.test_difference import count, line, made, row
from vlbench.export.atlas_changes import changes_table


def test_lines_that_came_and_went_are_named_and_ways_that_changed_alike_are_one_row() -> None:
    old, new = line("x.tolist()", 7, 2), line("a | `b`", 9, 96)
    before = made(
        "1.0", row("a_b", count(2, old)), row("c", count(2, old)), row("same", count(0)), row("gone", count(1))
    )
    after = made(
        "1.1", row("a_b", count(96, new)), row("c", count(96, new)), row("same", count(0)), row("new", count(1))
    )
    assert changes_table(before, after).splitlines() == [
        "**package 1.0 to 1.1**: 3 of 4 ways are not as they were.",
        "",
        "| tower, way | what moved | lines that came or went |",
        "|---|---|---|",
        "| `a_b`, grid on the device; `c`, grid on the device | host_syncs 2 to 96 | gone, 2x: tower.py:7 `x.tolist()`"
        "<br>came, 96x: tower.py:9 <code>a &#124; &#96;b&#96;</code> |",
        "| `gone` | not counted any more: package 1.1 has no such tower | - |",
        "",
        "New in 1.1: `new`.",
    ]


def test_equal_releases_have_no_table() -> None:
    both = (made(version, row("a", count(1))) for version in ("1.0", "1.1"))
    assert changes_table(*both) == "**package 1.0 to 1.1**: 0 of 1 ways are not as they were."
