from __future__ import annotations

import ast
import textwrap

import pytest

from tests.cli.conftest import Vlbench
from vlbench.implementations.optimized import OPTIMIZATIONS


@pytest.mark.parametrize("flag", OPTIMIZATIONS)
def test_every_flag_is_explained_with_code_that_parses(vlbench: Vlbench, flag: str) -> None:
    ended = vlbench("explain", flag, "--json")
    assert ended.code == 0
    facts, known = ended.json(), OPTIMIZATIONS[flag]
    assert (facts["flag"], facts["removes"], facts["class"]) == (flag, known.removes, str(known.exactness))
    assert facts["source"]
    for code, way in ((facts["naive"], known.seam.naive_way), (facts["optimized"], known.way)):
        (definition,) = ast.parse(textwrap.dedent(code)).body
        assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
        assert definition.name == way.__name__
        assert definition.decorator_list == []


def test_both_pieces_of_code_are_shown(vlbench: Vlbench) -> None:
    out = vlbench("explain", "batched-windows").out
    for part in (
        "batched-windows",
        "host-seqlens",
        "sdpa-prealloc",
        "class SegmentList",
        "class EqualSegmentsTogether",
    ):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80


def test_on_a_wide_terminal_they_stand_side_by_side(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = vlbench("explain", "batched-windows").out
    line = next(line for line in out.splitlines() if "class SegmentList" in line)
    assert "class EqualSegmentsTogether" in line


def test_an_unknown_flag_is_refused(vlbench: Vlbench) -> None:
    assert vlbench("explain", "rope-cahce").sentence == "there is no flag 'rope-cahce'; did you mean rope-cache?"
