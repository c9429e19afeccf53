"""The boards that come with vlbench, and what a board answers."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import pytest

from tests.kernel_times.boards import attention, by_work, products, stored
from vlbench.errors import UsageError
from vlbench.kernel_times import Board, NotInTablesError, board, boards
from vlbench.kernel_times.look_up import FOLDER, LEAST_US, UNALIGNED, UNALIGNED_BAND, without_start
from vlbench.kernel_times.stored import StoredBoard
from vlbench.kernel_times.time import Time
from vlbench.record.base import fitting

BOARDS = ("b200", "b300", "gb200", "gb300", "h100", "h200", "l40s", "rtx-pro-6000")
BF16 = "bfloat16"
ROOT = Path(__file__).parents[2]


def test_there_are_eight_and_all_are_small() -> None:
    assert boards() == BOARDS
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_says_where_it_is_from_and_never_mixes_engines(name: str) -> None:
    found = board(name).stored
    assert (found.source.package, found.source.version) == ("aiconfigurator-core", "0.12.0")
    assert found.source.licence == "Apache-2.0"
    assert "NVIDIA CORPORATION" in found.source.copyright
    assert found.source.taken >= "2026-11-29"
    leads = {(each.what, each.dtype, each.head_dim): each.engine for each in reversed(found.tables)}
    assert {engine.split()[0] for engine in leads.values()} == {"vllm"}
    assert {each.engine.split()[0] for each in found.tables} == {"vllm", "sglang"}
    assert {each.head_dim for each in found.tables} == {0, 64, 72, 80}


@pytest.mark.parametrize("name", BOARDS)
def test_times_never_fall_with_m_nor_with_length(name: str) -> None:
    gpu = board(name)
    sizes = (1, 7, 64, 500, 1000, 1024, 1296, 2048, 5000, 16_384, 40_000)
    made = [gpu.product(m, 3840, 1280, BF16).us for m in sizes]
    assert all(before <= after * 1.0001 for before, after in pairwise(made))
    for batch in (1, 3, 24):
        lengths = [gpu.attention(batch, 16, length, 80, BF16).us for length in range(1, 4000, 57)]
        assert all(before <= after * 1.0001 for before, after in pairwise(lengths))


@pytest.mark.parametrize("name", BOARDS)
def test_every_answer_has_a_band_and_rows(name: str) -> None:
    gpu = board(name)
    for time in (gpu.product(1296, 3840, 1280, BF16), gpu.attention(16, 16, 64, 80, BF16)):
        assert 0 < time.low < time.us < time.high
        assert time.rows
        assert "aiconfigurator-core 0.12.0" in time.source
    assert {row.engine.split()[0] for row in gpu.product(1296, 3840, 1280, BF16).rows} == {"vllm", "sglang"}
    kernels = {each.kernel for each in gpu.stored.tables if each.what == "attention"}
    assert not any("triton" in kernel for kernel in kernels)  # another one, which takes several times as long
    assert gpu.moved(1 << 20).low < gpu.moved(1 << 20).us < gpu.moved(1 << 20).high


def test_what_is_not_there_is_named() -> None:
    gpu = board("h100")
    with pytest.raises(NotInTablesError, match=r"h100: no product in float32 is in the tables; it has bfloat16"):
        gpu.product(64, 1024, 1024, "float32")
    with pytest.raises(NotInTablesError, match=r"no attention in bfloat16 at head_dim 96 .* at head_dim 64, .*72"):
        gpu.attention(1, 16, 64, 96, BF16)
    with pytest.raises(NotInTablesError, match=r"the product n=1024 k=1024 m=\d+ in bfloat16 is not in .* m from 1 to"):
        gpu.product(10**8, 1024, 1024, BF16)
    with pytest.raises(UsageError, match=r"board: 'h10' is not one of .*; did you mean h100\?"):
        board("h10")


def test_an_engine_that_disagrees_widens_the_band() -> None:
    alone = Board(stored(products(by_work))).product(64, 1024, 1024, BF16)
    both = Board(stored(products(by_work), products(lambda *sizes: 2 * by_work(*sizes), "two 2")))
    time = both.product(64, 1024, 1024, BF16)
    assert time.us == pytest.approx(alone.us)
    assert time.high == pytest.approx(2 * alone.high)
    assert len(time.rows) == 2


def test_attention_takes_the_smaller_of_two_engines() -> None:
    """Rows at some lengths stand alone: 43 us at 1,024 between 27 at 1,296 and 16 at 512, where the other has 27."""
    slow, fast = (attention(lambda *_, us=us: us * 10, engine) for us, engine in ((2.0, "one 1"), (1.0, "two 2")))
    time = Board(stored(slow, fast)).attention(4, 16, 256, 80, BF16)
    assert time.high > 20 > time.us
    assert board("h100").attention(1, 16, 1024, 80, BF16).us < 30
    assert board("h100").attention(1, 16, 1024, 80, BF16).high > 43


def test_the_time_to_start_a_call_is_no_time_of_the_gpu() -> None:
    def banded(us: float) -> Time:
        return without_start(Time(us, us, us, (), ""), 10.0)

    assert (banded(10).low, banded(10).us) == (LEAST_US, (10 + LEAST_US) / 2)
    assert banded(20) == Time(20, 20, 20, (), "")
    assert [banded(us).us for us in range(10, 21)] == sorted(banded(us).us for us in range(10, 21))
    one, many = (board("h100").attention(batch, 16, 64, 80, BF16) for batch in (1, 64))
    assert one.low < 4 < 10 < one.high  # 11 us, of which 11 are the start
    assert many.low > 35


def test_beyond_the_table_is_told_and_less_sure() -> None:
    gpu = Board(stored(products(by_work)))
    inside, beyond = gpu.product(1024, 1024, 1024, BF16), gpu.product(3072, 1024, 1024, BF16)
    assert beyond.us == pytest.approx(3 * inside.us)
    assert beyond.beyond == pytest.approx(3)
    assert "3.0 times the work of its last row" in beyond.source
    assert beyond.high / beyond.us > 1.1 * inside.high / inside.us


def test_bytes_in_cache_move_faster() -> None:
    gpu = Board(stored(products(by_work)))
    assert gpu.moved(400_000).us == pytest.approx(1.5 + 0.2)
    assert gpu.moved(80_000_000).us == pytest.approx(1.5 + 100)
    assert gpu.copied(64_000_000).us == pytest.approx(3 + 1250)


def slower(*sizes: int) -> float:
    """No kernel takes less than the shortest."""
    return 3.0 + by_work(*sizes)


def written(folder: Path, **changed: Any) -> Path:
    content = json.loads(stored(products(slower)).model_dump_json()) | changed
    with suppress(UsageError):  # of what does not fit
        content = fitting(StoredBoard, content, "", "").with_checksum().model_dump(mode="json")
    path = folder / "mine.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def test_a_board_is_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, board="mine")
    assert board(path).product(64, 1024, 1024, BF16).us == pytest.approx(slower(1024, 1024, 64))
    assert boards(tmp_path) == ("mine",)
    assert board("mine", tmp_path).name == "mine"


def test_an_edited_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    faster = json.loads(gzip.decompress(path.read_bytes()))
    for table in faster["tables"]:
        table["us"] = [[us / 1000 for us in row] for row in table["us"]]
    path.write_bytes(gzip.compress(json.dumps(faster).encode()))
    with pytest.raises(UsageError, match=r"mine.json.gz: checksum: it does not fit the rest: edited or damaged"):
        board(path)
    path = written(tmp_path, tables=faster["tables"])
    with pytest.raises(UsageError, match=r"tables.0.us: 0.003\S* is far below memory.constant_us, .*, 3; measure"):
        board(path)


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    table = json.loads(products(by_work).model_dump_json())
    memory = stored(products(slower)).memory.model_dump()
    error = {"what": "product", "dtype": BF16, "hidden": ["m"], "rows": 1, "median": 0.1, "p90": 0.2, "within": 0.8}
    error |= {"low": -0.1, "high": 0.1}
    broken: dict[str, tuple[dict[str, Any], str]] = {
        "steps": ({"tables": [table | {"steps": [2, 1]}]}, r"tables.0: .*the steps of one 1 must be one or more"),
        "rows": ({"tables": [table | {"us": table["us"][:-1]}]}, r"tables.0: .*a row for each pair"),
        "negative": ({"tables": [table | {"us": [[-1.0] * 5] * 9}]}, r"tables.0.us.0.0: .*or equal to 0.000001"),
        "huge": (
            {"tables": [table | {"us": [[1e300] * 5] * 9}]},
            r"tables.0.us.0.0: .*less than or equal to 1000000000",
        ),
        "tiny": ({"tables": [table | {"us": [[5e-324] * 5] * 9}]}, r"tables.0.us.0.0: .*or equal to 0.000001"),
        "no pairs": (
            {"tables": [table | {"pairs": [], "us": []}]},
            r"tables.0: .*the pairs of one 1 must be one or more",
        ),
        "slow": ({"memory": memory | {"bytes_per_s": 1e-300}}, r"memory.bytes_per_s: "),
        "fast": ({"memory": memory | {"bytes_per_s": 1e308}}, r"memory.bytes_per_s: "),
        "bus": ({"memory": memory | {"pcie_bytes_per_s": 5e-324}}, r"memory.pcie_bytes_per_s: "),
        "factor": ({"memory": memory | {"factor": 5e-324}}, r"memory.factor: "),
        "constant": ({"memory": memory | {"constant_us": 1e308}}, r"memory.constant_us: "),
        "cache": ({"memory": memory | {"l2_bytes": 10**18}}, r"memory.l2_bytes: "),
        "error": ({"errors": [error | {"low": -1e9}]}, r"errors.0.low: .*greater than or equal to -10"),
        "turned": (
            {"errors": [error | {"low": 0.5}]},
            r"errors.0: .*low is 0.5 and high is 0.1: low must not be above",
        ),
        "escape": ({"board": "\x1b[31mevil"}, r"board: String should match pattern"),
        "lines": ({"board": "h100\n"}, r"board: String should match pattern"),
        "empty": ({"board": ""}, r"board: String should match pattern"),
        "two lines": ({"gpu": "one\ntwo"}, r"gpu: .*must be one line of printable characters"),
        "unknown": ({"more": 1}, r"more: Extra inputs are not permitted"),
        "no tables": ({"tables": []}, "tables: .*at least 1 item"),
        "version": ({"schema_version": 2}, r"schema_version: Input should be 1"),
    }
    for changed, told in broken.values():
        path = written(tmp_path, **changed)
        with pytest.raises(UsageError, match=rf"mine.json.gz: {told}.*; give a board's name, or a file of its form"):
            board(path)
    with pytest.raises(UsageError, match=r"none.json: no such file; give a board's name"):
        board(tmp_path / "none.json")
    path.write_bytes(gzip.compress(b"{}" * 10)[:-4])
    with pytest.raises(UsageError, match="the gzip file is damaged"):
        board(path)


def test_rows_of_no_multiple_of_16_bytes_take_what_an_h200_took() -> None:
    """3,420 numbers of two bytes as n or as k; of four bytes they are aligned. Elsewhere it is not known."""
    h200, b200 = board("h200"), board("b200")
    even = h200.product(1296, 3420, 1280, BF16, padded=True)
    for n, k in ((3420, 1280), (1280, 3420)):
        time = h200.product(1296, n, k, BF16)
        assert time.us == pytest.approx(3.7 * h200.product(1296, n, k, BF16, padded=True).us)
        assert "unaligned: x3.7 (2.6 to 4.4), as measured on one H200" in time.source
    time = h200.product(1296, 3420, 1280, BF16)
    assert (time.low / even.low, time.high / even.high) == pytest.approx((2.6, 4.4))
    assert h200.product(1296, 3424, 1280, BF16).us < 1.1 * even.us
    assert h200.unaligned(3420, 1280, "float32") == ""
    other = b200.product(1296, 3420, 1280, BF16)
    assert other.us == b200.product(1296, 3420, 1280, BF16, padded=True).us
    assert other.high == pytest.approx(4.4 * b200.product(1296, 3420, 1280, BF16, padded=True).high)
    assert "not on this GPU" in other.source


def test_the_factor_of_unaligned_rows_is_what_the_probe_saw() -> None:
    """Each of its four figures, with the aligned times of the same GPU: joined, only the product down is unaligned."""
    answers = json.loads((ROOT / "results/gpu/probe.json").read_text())["answers"]
    seen, own = answers["gate-and-up"]["found"], board(ROOT / "results/gpu/board.json")
    found = []
    for patches in (1296, 13808):
        us = {
            f"{c} {way}": seen[f"{patches} patches, {c} columns, {way}"]["median_us"]
            for c in (3420, 3424)
            for way in ("apart", "joined")
        }
        down = us["3420 joined"] - us["3424 joined"]
        gate = (us["3420 apart"] - us["3424 apart"] - down) / 2
        found.append(1 + down / own.product(patches, 1280, 3424, BF16).us)
        found.append(1 + gate / own.product(patches, 3424, 1280, BF16).us)
    assert UNALIGNED_BAND[0] < min(found) < max(found) < UNALIGNED_BAND[1]
    assert pytest.approx(geometric_mean(found), abs=0.05) == UNALIGNED
