"""Which members of a series differ from the one before."""

from __future__ import annotations

from vlbench.revisions.over import changes


def test_every_change_between_ends_that_differ_is_found() -> None:
    asked: list[int] = []

    def value(index: int) -> int:
        asked.append(index)
        return (index >= 9) + (index >= 90)

    assert changes(100, value) == [9, 90]
    assert len(set(asked)) < 25
    assert changes(2, lambda index: 0) == []
    assert changes(1, lambda index: index) == []
    assert changes(3, lambda index: index % 2) == []  # taken back: its ends are alike
