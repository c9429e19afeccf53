"""A line of code is a text in every file, and never parsed again after that."""

from __future__ import annotations

import pytest

from vlbench.record.baseline import Baseline
from vlbench.record.site import Site, Where, outside_of_helpers

from .baselines import baseline, cell, forward

KNOWN = {"event": "read-back", "where": "a.py:7: n: int = x.item()  # b.py:8: y", "times": 3}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/b.py:7: x.item()", ("x.item()", "a/b.py", 7)),
        ("a.py:7: n: int = x.item()  # b.py:8: y", ("n: int = x.item()  # b.py:8: y", "a.py", 7)),
        ("a.py:7: ", ("", "a.py", 7)),
        ("(no Python line)", ("(no Python line)", None, None)),
    ],
)
def test_the_text_and_its_parts(text: str, parts: tuple[str, str | None, int | None]) -> None:
    where = Where.parse(text)
    assert (where.source, where.file, where.line) == parts
    assert str(where) == text


def test_a_baseline_keeps_what_it_always_did_under_the_same_seal() -> None:
    stored = baseline(cell(forward(("read-back", "a.py:7: n: int = x.item()  # b.py:8: y", 3))))
    (line,) = stored.model_dump(mode="json")["counted"][0]["warm"]["sites"]
    assert line == KNOWN
    again = Baseline.model_validate_json(stored.model_dump_json())
    assert again == stored
    assert again.intact


def test_a_site_of_the_device_keeps_all_that_it_knows() -> None:
    site = Site.model_validate(KNOWN | {"operation": "aten::max", "blocking": True, "bytes": 8})
    assert Site.model_validate_json(site.model_dump_json()) == site
    assert site.model_dump(mode="json")["pinned"] is False


def chain(*places: str) -> tuple[str, ...]:
    return places


def test_the_line_that_is_named_lies_outside_of_shared_helpers() -> None:
    alone, once, loop = chain("x.item()", "f"), chain("t.tolist()", "lengths(t)", "a"), chain("t.tolist()", "loop")
    assert outside_of_helpers([alone, once]) == {alone: "x.item()", once: "t.tolist()"}
    assert outside_of_helpers([alone, once, loop]) == {alone: "x.item()", once: "lengths(t)", loop: "loop"}


def test_a_helper_of_a_helper_is_left_as_well() -> None:
    a, b = chain("t.tolist()", "lengths(t)", "a"), chain("t.tolist()", "lengths(t)", "b")
    assert outside_of_helpers([a, b]) == {a: "a", b: "b"}
