"""Cells under pytest-benchmark, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.pytest_plugin.conftest import Run
from tests.trial.plans import SCENARIO_FILE
from vlbench.readers import read

EXTRA = {"cell", "accuracy_error", "accuracy_error_timed", "aten_operations", "attention_calls", "torch", "threads"}
"""Their names are read by others, so they stay."""
TESTS = """
import pytest
import torch
from vlbench.towers.tower import Tower
from vlbench.towers.resolve import resolve_tower

RIGHT = resolve_tower("qwen2.5-vl-tiny+best")

class Negates(torch.nn.Module):
    '''Right for some calls, then not.'''
    def __init__(self, inner, right_for):
        super().__init__()
        self.inner, self.left = inner, right_for

    def forward(self, pixels, grid_thw):
        self.left -= 1
        tokens = self.inner(pixels, grid_thw)
        return tokens if self.left >= 0 else -tokens

def negates(right_for):
    load = lambda weights: Negates(RIGHT.load(weights), right_for)
    return Tower(make=RIGHT.make, load=load, model=RIGHT.model, stages=None)

wrong = negates(0)
wrong_in_time = negates(28)  # called 7 times to be checked, 7 to 21 times to be warm, and then 20 times or more

def test_that_times_nothing():
    pass

@pytest.mark.parametrize("variant", ["baseline", "best"])
def test_right(vlbench_cell, variant):
    vlbench_cell(variant, scenario="small.toml")

@pytest.mark.benchmark(min_rounds=2, max_time=0)
def test_bfloat16(vlbench_cell):
    vlbench_cell("best", model="qwen2-vl-tiny", scenario="sweep.toml", point="count=2", dtype="bfloat16")

def test_of_others(vlbench_cell):
    toys = "tests.counting.toy_towers"
    vlbench_cell(f"{toys}:HostIndex", model=f"{toys}:Toy", scenario="small.toml")

@pytest.mark.parametrize("which", ["wrong", "wrong_in_time"])
def test_wrong(vlbench_cell, which):
    vlbench_cell(f"test_cells:{which}", scenario="small.toml")

def test_no_point(vlbench_cell):
    vlbench_cell("best", scenario="sweep.toml")

def test_no_variant(vlbench_cell):
    vlbench_cell("bset", scenario="small.toml")
"""


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_a_cell_is_checked_and_then_timed(pytester: pytest.Pytester, run: Run, two_threads: None) -> None:
    for name, text in {"small": SCENARIO_FILE, "sweep": SCENARIO_FILE.replace("count = 2", "count = [1, 2]")}.items():
        Path(f"{name}.toml").write_text(text)
    pytester.makepyfile(test_cells=TESTS)
    result = run(
        "--benchmark-json=out.json", "--benchmark-only", "--benchmark-max-time=0.05", "--benchmark-min-rounds=20"
    )
    result.assert_outcomes(passed=4, failed=4, skipped=1)
    assert torch.get_num_threads() == 2
    result.stdout.fnmatch_lines(
        [
            "*__ test_wrong[[]wrong] __*",
            "qwen2.5-vl-tiny test_cells:wrong small float32 cpu: inaccurate, so nothing was timed: error 2 in fp32 *",
            "*__ test_wrong[[]wrong_in_time] __*",
            "qwen2.5-vl-tiny test_cells:wrong_in_time small float32 cpu: inaccurate in a timed round: its error is 2",
            "*__ test_no_point __*",
            "scenario 'sweep.toml' has the points count=1, count=2; choose one with point=...",
            "*__ test_no_variant __*",
            "variant 'bset': there is no flag or preset 'bset'; did you mean best?",
        ]
    )
    found = {each["name"]: each for each in json.loads(Path("out.json").read_text())["benchmarks"]}
    assert found.keys() == {"test_right[baseline]", "test_right[best]", "test_bfloat16", "test_of_others"}
    reference_tower, best, half, others = found.values()
    assert reference_tower["extra_info"].keys() == EXTRA
    assert reference_tower["extra_info"]["cell"] == "qwen2.5-vl-tiny baseline small float32 cpu"
    assert reference_tower["extra_info"]["accuracy_error"] == 0
    assert reference_tower["extra_info"]["accuracy_error_timed"] is None
    assert reference_tower["extra_info"]["aten_operations"] > best["extra_info"]["aten_operations"] > 0
    assert reference_tower["extra_info"]["attention_calls"] > best["extra_info"]["attention_calls"] > 0
    assert half["extra_info"]["cell"] == "qwen2-vl-tiny best sweep count=2 bfloat16 cpu"
    assert 0 < half["extra_info"]["accuracy_error_timed"] < 0.1
    assert others["extra_info"]["cell"].startswith("tests.counting.toy_towers:Toy tests.counting.toy_towers:HostIndex ")
    for each in found.values():
        assert each["extra_info"]["torch"] == torch.__version__
        assert each["extra_info"]["threads"] == 1
    assert best["stats"]["rounds"] >= 20
    assert half["stats"]["rounds"] == 2
    (judged,) = read("out.json")
    assert judged.metrics.keys() == {f"test_cells.py::{name}" for name in found}
