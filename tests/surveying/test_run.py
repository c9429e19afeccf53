"""Towers of a package counted in a process of their own."""

from __future__ import annotations

from pathlib import Path

from tests.surveying.toy import LIST, listed, release
from vlbench.surveying.job import AtlasJob
from vlbench.surveying.listed import listed_package
from vlbench.surveying.run import count_atlas

NOT_WAITING = "x = layer(x)"


def test_a_hanging_tower_is_given_up(tmp_path: Path) -> None:
    folder = release(tmp_path, "1.0", good=NOT_WAITING, hanging="import time; time.sleep(60)")
    (tmp_path / LIST).write_text(listed("hanging", "good"))
    towers = tuple(listed_package("toy_towers", tmp_path / LIST).only([]))
    job = AtlasJob(
        package="toy_towers", towers=towers, grids=((1, 4, 6),), profile="sm_90", cudnn="9.19", dtype="bfloat16",
        folder=str(folder),
    )  # fmt: skip
    found = count_atlas(job, most_seconds=1.5)
    assert [bool(row.counted) for row in found.rows] == [False, True]
    assert "one call did not end within 2 s" in found.rows[0].failed
