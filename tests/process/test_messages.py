from __future__ import annotations

import math
import os
import struct
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from vlbench.process.messages import Marker, create_marker, read_marker


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FileIO]:
    with create_marker(tmp_path / "marker") as made:
        yield made


def path_of(file: FileIO) -> Path:
    return Path(str(file.name))


def name_in(file: FileIO) -> str:
    marked = read_marker(file)
    assert marked
    assert abs(time.monotonic() - marked.since) < 60
    return marked.name


def test_nobody_is_named_at_first(file: FileIO) -> None:
    assert read_marker(file) is None


def test_the_last_name_counts_whatever_its_length(file: FileIO) -> None:
    mark = Marker(path_of(file))
    for name in ("host-seqlens+batched-windows", "écran", "a"):
        mark(name)
        assert name_in(file) == name


def test_a_combination_of_every_flag_is_named_in_full(file: FileIO) -> None:
    from vlbench.implementations.optimized import OPTIMIZATIONS

    name = "+".join(OPTIMIZATIONS)
    Marker(path_of(file))(name)
    assert name_in(file) == name


@pytest.mark.parametrize("content", [b"", b"x", *(struct.pack("d", each).ljust(4096) for each in (math.nan, -1))])
def test_nonsense_names_nobody(file: FileIO, content: bytes) -> None:
    path_of(file).write_bytes(content)
    assert read_marker(file) is None


def test_one_that_is_removed_or_replaced_names_who_was_marked_before(file: FileIO) -> None:
    Marker(path_of(file))("a")
    path_of(file).unlink()
    assert name_in(file) == "a"
    os.mkfifo(path_of(file))  # to open that would take for ever
    assert name_in(file) == "a"
