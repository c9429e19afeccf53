from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.process import marker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    marker.create(tmp_path / "marker")
    return tmp_path / "marker"


def test_nobody_is_named_at_first(path: Path) -> None:
    assert marker.read(path) is None


def test_the_last_name_counts_whatever_its_length(path: Path) -> None:
    mark = marker.Marker(path)
    for name in ("host-seqlens+batched-windows", "écran", "a"):
        mark(name)
        assert marker.read(path) == name


def test_a_combination_of_every_flag_is_named_in_full(path: Path) -> None:
    from vlbench.implementations.optimized import OPTIMIZATIONS

    name = "+".join(OPTIMIZATIONS)
    marker.Marker(path)(name)
    assert marker.read(path) == name
