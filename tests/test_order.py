"""The order that `tests/conftest.py` gives the suite."""

from __future__ import annotations

import pytest

from tests.conftest import pytest_collection_modifyitems


def test_the_longest_come_first_however_their_seconds_are_given(request: pytest.FixtureRequest) -> None:
    def item(name: str, *marks: pytest.MarkDecorator) -> pytest.Item:
        made: pytest.Item = pytest.Function.from_parent(request.node.parent, name=name, callobj=lambda: None)
        for mark in marks:
            made.add_marker(mark)
        return made

    slow = pytest.mark.slow
    items = [item("usual"), item("bare", slow), item("20", slow(20)), item("80", slow(seconds=80)), item("5", slow(5))]
    pytest_collection_modifyitems(items)
    assert [each.name for each in items] == ["80", "20", "5", "usual", "bare"]
