"""A board that is measured here: on this CPU, and on what stands in for a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.cuda_stand_ins import cuda
from tests.kernel_times.boards import stored
from tests.trial.plans import ROOT, python_path
from vlbench.api.boards import measure_board
from vlbench.errors import UsageError
from vlbench.kernel_times import Board, board
from vlbench.kernel_times.stored import TimeTable
from vlbench.predicting import measured_board, measured_host
from vlbench.predicting.host import hosts
from vlbench.predicting.measured_board import Bench


def like(what: str, pairs: list[tuple[int, int]], steps: tuple[int, ...]) -> TimeTable:
    us = ((1.0,) * len(steps),) * len(pairs)
    about = {"engine": "e", "kernel": "k", "dtype": "bfloat16", "head_dim": 80 * (what == "attention")}
    return TimeTable(what=what, steps=steps, pairs=tuple(pairs), us=us, **about)  # type: ignore[arg-type]


LIKE = Board(
    stored(
        like("product", list(product((512, 2048), (512, 2048))), (1, 16, 64, 256)),
        like("attention", [(16, 1), (16, 4)], (1, 64, 256)),
    )
)
TOWER = "tests.predicting.towers:Wide"


@pytest.fixture(autouse=True)
def _few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ROOT))
    monkeypatch.setattr(measured_board, "board", lambda name: LIKE)
    monkeypatch.setattr(measured_board, "POOL", {"cpu": 1 << 23, "cuda": 1 << 23})
    monkeypatch.setattr(measured_board, "COPIES", {"cpu": 1 << 22, "cuda": 1 << 22})


def times(table: TimeTable) -> dict[tuple[int, int, int], float]:
    return {
        (*pair, step): us
        for pair, row in zip(table.pairs, table.us, strict=True)
        for step, us in zip(table.steps, row, strict=True)
        if us is not None
    }


def test_a_board_of_this_cpu_is_taken_by_predict(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench("calibrate", "--board", "mine.json", "--device", "cpu", "--dtype", "float32", "--budget", "20")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "vlbench predict --gpu mine.json" in " ".join(ended.out.split())
    found = board(folder / "mine.json")
    (products, attended) = found.stored.tables
    assert (products.what, attended.what, attended.head_dim) == ("product", "attention", 80)
    assert found.stored.host is None  # of a CPU a host is no other device
    large, small = found.product(256, 512, 512, "float32").us, found.product(16, 512, 512, "float32").us
    assert large > 2 * small
    assert times(attended)[16, 1, 64] > 0
    assert "there is a file already" in vlbench("calibrate", "--board", "mine.json", "--device", "cpu").sentence


def test_each_time_of_a_board_is_that_of_its_own_shape(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock to which a million operations are a microsecond, of calls that say how many they take."""
    monkeypatch.setattr(measured_board, "linear", lambda x, weight: 2 * len(x) * weight.numel())
    monkeypatch.setattr(measured_board, "scaled_dot_product_attention", lambda q, k, v: 4 * k.shape[2] * q.numel())

    def seconds(bench: Bench, call: Callable[[], object], estimate: float) -> float:
        operations = call()
        return operations * 1e-12 if isinstance(operations, int) else 1e-9

    monkeypatch.setattr(Bench, "seconds", seconds)
    measure_board("mine.json", device="cpu", dtype="float32", budget=60, progress=False)
    products, attended = map(times, board(folder / "mine.json").stored.tables)
    assert (len(products), len(attended)) == (16, 6)
    assert products == {(n, k, m): pytest.approx(2e-6 * n * k * m, rel=1e-3) for n, k, m in products}
    assert attended == {(h, b, n): pytest.approx(4e-6 * h * b * n * n * 80, rel=1e-3) for h, b, n in attended}


def test_a_board_needs_a_coarse_grid_of_all_shapes(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--budget 0.01: only [\d,]+ of 22 shapes were measured, which is no board"):
        measure_board("mine.json", device="cpu", dtype="float32", budget=0.01, progress=False)
    with pytest.raises(UsageError, match=r"--board mine.txt: a board is JSON, by whose ending `predict --gpu` knows"):
        measure_board("mine.txt", device="cpu")
    assert not list(folder.glob("mine.*"))


def test_what_the_host_outruns_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_board, "_by_events", lambda call, calls, ahead: (1.0, 2 * ahead))
    with cuda():
        bench = object.__new__(Bench)
        bench.device = "cuda"
        with pytest.raises(TimeoutError):
            bench.seconds(lambda: None, 1.0)


@pytest.mark.slow
def test_a_board_of_a_gpu_has_its_host_and_predict_takes_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU stands in: the host computes what it issues, so that nothing is ahead of it."""
    monkeypatch.setattr(measured_board, "is_late", lambda issued, ahead: False)
    monkeypatch.setattr(measured_board, "occupy", lambda seconds: None)
    monkeypatch.setattr(measured_host, "FORWARDS", 4)
    monkeypatch.setattr(measured_board, "SLOWEST", 1.0)
    with cuda():
        found = measure_board("gpu.json", device="cuda", budget=60, progress=False)
    assert found.gpu == "NVIDIA H100 80GB HBM3"
    assert found.board == "measured-nvidia-h100-80gb-hbm3"
    assert (found.profile, found.memory.l2_bytes) == ("sm_90", 50 << 20)
    assert found.host
    fast, _ = hosts(found.host)
    assert fast.us != hosts()[0].us
    (row,) = package.predict(TOWER, gpu="gpu.json", grid="1x8x8", progress=False).record.groups[0].rows
    assert row.span
    assert json.loads((folder / "gpu.json").read_text())["tables"][0]["engine"].startswith("torch ")
