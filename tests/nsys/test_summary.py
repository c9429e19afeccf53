"""Iterations, the stability of their counts, and coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.errors import UsageError
from vlbench.nsys.frames import Capture

from .synthetic import Database, thread

MAIN, HELPER = thread(100, 1), thread(100, 2)


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Five iterations: the first launches seven kernels, the fourth four, the others three."""
    database = Database()
    database.domain(3, "vlbench", MAIN)
    corr = 0
    for number, launches in enumerate([7, 3, 3, 4, 3]):
        start = number * 1000
        database.range(start, start + 900, "iteration", MAIN, domain=3, registered=number % 2 == 0)
        for launch in range(launches):
            database.launch(start + 30 + launch * 10, MAIN, corr)
            corr += 1
    database.launch(9000, MAIN, corr)  # outside all ranges
    database.launch(9000, HELPER, corr + 1)  # a thread without ranges
    database.kernel(9500, 9600, "orphan", MAIN, corr + 99)  # its call was cut off
    return vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))


def test_one_row_per_iteration_in_order(capture: Capture) -> None:
    table = vlbench.nsys.per_iteration(capture)
    assert table["launches"].to_list() == [7, 3, 3, 4, 3]
    assert table["first_launch_ns"].to_list() == [30] * 5
    assert table["start"].is_monotonic_increasing


def test_stability_leaves_out_the_first_and_lists_what_differs(capture: Capture) -> None:
    stable = vlbench.nsys.stability(vlbench.nsys.per_iteration(capture))
    row = stable.loc["launches"]
    assert (row["usual"], row["same"], row["of"], row["least"], row["most"]) == (3, 3, 4, 3, 4)
    assert row["others"] == {3: 4}
    assert set(stable.index) == {"launches", "kernels"}  # what never counted is left out


def test_an_unknown_iteration_names_what_there_is(capture: Capture) -> None:
    with pytest.raises(UsageError, match="ranges there are: vlbench:iteration"):
        vlbench.nsys.per_iteration(capture, "step")
    with pytest.raises(UsageError, match="not a regular expression"):
        vlbench.nsys.per_iteration(capture, "[")


def test_coverage_says_why(capture: Capture) -> None:
    seen = vlbench.nsys.coverage(capture)
    assert {
        name: seen[name] for name in ("gpu_ops", "in_ranges", "outside_ranges", "thread_without_ranges", "no_api_row")
    } == {"gpu_ops": 23, "in_ranges": 20, "outside_ranges": 1, "thread_without_ranges": 1, "no_api_row": 1}
