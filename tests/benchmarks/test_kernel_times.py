"""A board answers ten thousand different questions within a second, and is read in a tenth of one."""

from __future__ import annotations

import random

from pytest_benchmark.fixture import BenchmarkFixture

from vlbench.kernel_times import Board, board

DRAW = random.Random(0)
QUESTIONS = [
    (DRAW.randint(1, 30_000), DRAW.choice((1152, 1280, 3456, 3840, 4304, 6840)), DRAW.choice((1152, 1280, 3420, 4304)))
    for _ in range(10_000)
]


def ask(gpu: Board) -> None:
    for m, n, k in QUESTIONS:
        gpu.product(m, n, k, "bfloat16")


def test_ten_thousand_products_that_were_not_asked_for_before(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(ask, setup=lambda: ((board("h100"),), {}), rounds=5)


def test_reading_a_board(benchmark: BenchmarkFixture) -> None:
    assert benchmark(board, "h100").name == "h100"
