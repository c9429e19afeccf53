"""The generated documentation is up to date."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from docs.generate import PAGES, SCHEMAS, filled, generated

ROOT = Path(__file__).parents[1]
made_once = cache(generated)


@pytest.mark.parametrize("path", [*PAGES, *(f"docs/{name}.schema.json" for name in SCHEMAS)])
def test_generated_files_are_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == made_once(ROOT)[ROOT / path], "run `make docs`"


def test_only_the_marked_parts_change() -> None:
    text = "before\n<!-- generated: presets -->\nold\n<!-- end -->\nafter <!-- end -->\n"
    made = filled(text)
    assert made.startswith("before\n<!-- generated: presets -->\n| preset |")
    assert made.endswith("<!-- end -->\nafter <!-- end -->\n")
    assert "old" not in made
    assert filled(made) == made
