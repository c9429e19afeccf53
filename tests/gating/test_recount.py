"""Cells counted on their own account."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.record.baselines import KEY, cell
from tests.trial.plans import python_path
from vlbench.comparing.counted_cells import GRID
from vlbench.counting.job import Point
from vlbench.gating.recount import CountRequest, _batches, recount

SMALL, LARGE = (Point(scenario="grid", label=text, grids=((1, n, n),)) for text, n in (("1x2x2", 2), ("1x8x8", 8)))
DEADLY = """
import os
from torch import nn

class Sound(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, 8)

    def forward(self, pixels, grid_thw):
        return self.proj(pixels).view(-1, 4, 8).mean(1)

class Deadly(Sound):
    def forward(self, pixels, grid_thw):
        if len(pixels) == 4:  # as many as no further call has
            os.abort()
        return super().forward(pixels, grid_thw)
"""


def wanted(tower: str, point: Point, **fields: str) -> CountRequest:
    return CountRequest(tower, point, fields.get("profile", "sm_90"), "bfloat16", fields.get("cudnn", ""))


CELLS = st.lists(
    st.builds(
        wanted,
        st.sampled_from("abc"),
        st.sampled_from([SMALL, LARGE]),
        profile=st.sampled_from(["sm_80", "sm_90"]),
        cudnn=st.sampled_from(["", "9.15"]),
    ),
    unique=True,
)


@given(CELLS)
def test_every_cell_is_in_one_batch_and_each_batch_is_all_combinations(cells: list[CountRequest]) -> None:
    batches = _batches(cells)
    assert sorted(map(repr, cells)) == sorted(repr(each) for batch in batches for each in batch)
    for batch in batches:
        towers, points = {each.tower for each in batch}, {each.point for each in batch}
        assert len(batch) == len(towers) * len(points)
        assert len({(each.profile, each.cudnn) for each in batch}) == 1


@pytest.mark.parametrize(("kept", "asked"), [("", ""), ("9.15.1", "9.15.1"), ("9.19, deprioritized", "9.19")])
def test_a_cell_is_counted_again_with_the_cudnn_that_it_was_counted_with(kept: str, asked: str) -> None:
    stored = cell(scenario=GRID, key=KEY.model_copy(update={"cudnn": kept}))
    assert CountRequest.of(stored).cudnn == asked


@given(st.sets(st.sampled_from("abc"), min_size=1), st.sets(st.sampled_from([SMALL, LARGE]), min_size=1))
@settings(max_examples=20)
def test_all_combinations_are_one_batch(towers: Iterable[str], points: Iterable[Point]) -> None:
    assert len(_batches([wanted(tower, point) for tower in towers for point in points])) == 1


def test_whoever_cannot_be_counted_costs_no_one_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path())
    (tmp_path / "deadly.py").write_text(DEADLY)
    names = ("deadly:Sound", "deadly:Gone", "no.such:Tower", "deadly:Deadly")
    cells = [wanted(name, point) for name in names for point in (SMALL, LARGE)]
    odd = wanted("deadly:Sound", SMALL, profile="sm_42")
    told: list[tuple[int, int]] = []
    (found,) = recount([[*cells, odd]], lambda done, of: told.append((done, of)))
    assert sorted(told) == [(done, 9) for done in range(1, 1 + len(told))]
    assert len(told) >= 3
    assert found.keys() == {*cells, odd}
    for name, point in (("deadly:Deadly", LARGE), ("deadly:Sound", SMALL), ("deadly:Sound", LARGE)):
        cell = found[wanted(name, point)].cell
        assert cell is not None
        assert (cell.tower, cell.point, cell.grids) == (name, point.label, point.grids)
    assert found[wanted("deadly:Deadly", SMALL)].reason == "its process was ended by SIGABRT"
    assert "deadly has no 'Gone'; name a function in it" in found[wanted("deadly:Gone", LARGE)].reason
    assert "no.such cannot be imported" in found[wanted("no.such:Tower", SMALL)].reason
    assert "--as sm_42: no such GPU profile" in found[odd].reason
