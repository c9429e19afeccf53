from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.process.messages import Marker, create_marker, read_marker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_marker(tmp_path / "marker")
    return tmp_path / "marker"


def test_nobody_is_named_at_first(path: Path) -> None:
    assert read_marker(path) is None


def test_the_last_name_counts_whatever_its_length(path: Path) -> None:
    mark = Marker(path)
    for name in ("host-seqlens+batched-windows", "écran", "a"):
        mark(name)
        assert read_marker(path) == name


def test_a_combination_of_every_flag_is_named_in_full(path: Path) -> None:
    from vlbench.implementations.optimized import OPTIMIZATIONS

    name = "+".join(OPTIMIZATIONS)
    Marker(path)(name)
    assert read_marker(path) == name
