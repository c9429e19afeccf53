"""The house stays small: what `python -m tests.house` counts, held to limits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.house import house, longest_function, main, read, undocumented

LIMITS = {"code lines": 47_100, "files": 660, "longest file": 300, "longest function": 60, "without docstring": 60}


@cache
def counted() -> dict[str, tuple[int, object]]:
    """What is limited: how much there is, and where to look first."""
    files = house()
    largest = sorted(files, key=lambda file: -file.lines)
    missing = undocumented(files)
    return {
        "code lines": (sum(file.code_lines for file in files), ""),
        "files": (len(files), ""),
        "longest file": (largest[0].lines, [file.name for file in largest[:3]]),
        "longest function": longest_function(files),
        "without docstring": (len(missing), missing),
    }


@pytest.mark.parametrize("name", LIMITS)
def test_the_house_stays_within_its_limits(name: str) -> None:
    amount, where = counted()[name]
    assert amount <= LIMITS[name], where


SOURCE = '''"""What it is.

Two lines more.
"""

# A comment.
import os  # one


@staticmethod
def documented(
    a: int,
) -> str:
    """What it does."""
    text = """not a docstring

    of three lines"""
    return text


class Bare:
    value = 1
    """What this value means: a docstring of the field (PEP 257)."""

    def method(self) -> None: ...

    def _hidden(self) -> None: ...


class _Hidden:
    def method(self) -> None: ...
'''


def test_what_is_counted() -> None:
    file = read(SOURCE, "a.py")
    assert file.lines == 31
    assert file.code_lines == 1 + 4 + 4 + 4 + 2
    lines = {each.name: each.lines for each in file.definitions if each.is_function}
    assert lines == {"documented": 8, "Bare.method": 1, "Bare._hidden": 1, "_Hidden.method": 1}
    assert undocumented([file]) == ["a.py: Bare", "a.py: Bare.method"]
    assert longest_function([file]) == (8, "a.py: documented")


def test_links_are_not_counted_twice(tmp_path: Path) -> None:
    (tmp_path / "vlbench").mkdir()
    (tmp_path / "implementations").mkdir()
    (tmp_path / "implementations/a.py").write_text("A = 1\n")
    (tmp_path / "vlbench/implementations").symlink_to(tmp_path / "implementations")
    assert [file.name for file in house(tmp_path)] == ["implementations/a.py"]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert capsys.readouterr().out.splitlines()[0] == f"files              {counted()['files'][0]}"
