from __future__ import annotations

import time
from pathlib import Path

import pytest

from vlbench.process.messages import Marker, create_marker, read_marker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_marker(tmp_path / "marker")
    return tmp_path / "marker"


def name_in(path: Path) -> str:
    marked = read_marker(path)
    assert marked
    assert abs(time.monotonic() - marked.since) < 60
    return marked.name


def test_nobody_is_named_at_first(path: Path) -> None:
    assert read_marker(path) is None


def test_the_last_name_counts_whatever_its_length(path: Path) -> None:
    mark = Marker(path)
    for name in ("host-seqlens+batched-windows", "écran", "a"):
        mark(name)
        assert name_in(path) == name


def test_a_combination_of_every_flag_is_named_in_full(path: Path) -> None:
    from vlbench.implementations.optimized import OPTIMIZATIONS

    name = "+".join(OPTIMIZATIONS)
    Marker(path)(name)
    assert name_in(path) == name
