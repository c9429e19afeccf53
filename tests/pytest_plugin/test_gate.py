"""Marked tests, counted in real processes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from tests.pytest_plugin.conftest import Run
from vlbench.comparing.counted_cells import counted_cell
from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.gating.save import store_outputs
from vlbench.record.baseline import Acceptance, Baseline, CountedCell, CountedForward
from vlbench.record.counted import Grid
from vlbench.record.fingerprint import Fingerprint

MARKED = """
import pytest

GRID = "1x4x6"

@pytest.mark.vlbench(tower="towers:Waits", grid=GRID, max_syncs=3, max_read_backs=3, max_uploads=0, max_allowed_syncs=0)
def test_within():
    pass

@pytest.mark.vlbench(tower="towers:Waits", grid=GRID, max_syncs=2, max_operations=0)
def test_above():
    raise AssertionError("the body must not run")

@pytest.mark.vlbench(tower="towers:Waits", grid=GRID, max_implicit_uploads=0)
@pytest.mark.vlbench(tower="towers:Waits", grid=GRID, max_read_backs=0, cold=True)
def test_of_two_cells():
    pass

@pytest.mark.vlbench(grid=GRID, max_syncs=1)
class TestDefaults:
    @pytest.mark.parametrize("name", [
        pytest.param("kept", marks=pytest.mark.vlbench(tower="towers:Waits")),
        pytest.param("own", marks=pytest.mark.vlbench(tower="towers:Waits", max_syncs=3)),
    ])
    def test_of(self, name):
        pass

@pytest.mark.vlbench(tower="towers:Waits", grid=GRID)
def test_report(vlbench_counts):
    (report,) = vlbench_counts
    (tower,) = report.groups[0].towers
    assert tower.warm.counts.total.read_backs == 3

@pytest.mark.xfail(strict=True)
@pytest.mark.vlbench(tower="towers:Waits", grid=GRID, max_syncs=0)
def test_expected_to_fail():
    pass

@pytest.mark.vlbench(tower="towers:Dies", grid=GRID, max_syncs=0)
def test_that_ends_its_process():
    pass

@pytest.mark.vlbench(tower="tests.counting.toy_towers:Undeclared", grid=GRID, max_syncs=9)
def test_of_an_unknown_operation():
    pass

@pytest.mark.vlbench(tower="towers:Waits", grid="4x6", max_syncs=0)
def test_of_no_grid():
    pass
"""


def test_limits(pytester: pytest.Pytester, towers: Path, run: Run) -> None:
    pytester.makepyfile(MARKED)
    result = run("--strict-markers", "-rA")
    result.assert_outcomes(passed=3, failed=6, xfailed=1)
    out = result.stdout
    for name in ("test_within", "TestDefaults::test_of[[]own]", "test_report"):
        out.fnmatch_lines([f"PASSED *::{name}"])
    line = 1 + next(
        number for number, text in enumerate(Path("towers.py").read_text().splitlines()) if "tolist" in text
    )
    cell = "towers:Waits on grid*: 1x4x6, 24 patches, bfloat16, as sm_90 with cuDNN 9.19"
    out.fnmatch_lines(
        [
            "*__ test_above __*",
            f"host syncs 3, at most 2; device operations *, at most 0: {cell}, second forward",
            f"  towers.py:{line}: grid_thw.tolist()",
            "      3x read-back; keep the grid on the host (as host-grid does)",
            "  device operations: forward *",
            "*__ test_of_two_cells __*",
            f"read backs 3, at most 0: {cell}, first forward",
            "*__ TestDefaults.test_of[[]kept] __*",
            f"host syncs 3, at most 1: {cell}, second forward",
            "*__ test_that_ends_its_process __*",
            "its process was ended by SIGABRT: towers:Dies on *",
            "*__ test_of_an_unknown_operation __*",
            "unknown operation vlbench_toys::*",
            "*__ test_of_no_grid __*",
            "grid: '4x6' must be FRAMESxROWSxCOLUMNS in patches, such as 1x36x36",
        ]
    )
    out.no_fnmatch_line("*vlbench/pytest_plugin*")
    assert Path("imports.log").read_text().splitlines() == ["imported"] * 2, "one process for Waits, one for Dies"


TOY = "tests.counting.toy_towers:TolistInALoop"
STORED = f"""
import pytest

@pytest.mark.vlbench(baseline="stored.json", grid="1x4x6")
def test_equal():
    pass

@pytest.mark.vlbench(baseline="stored.json", tower="{TOY}", grid="1x8x4")
def test_worse():
    pass

@pytest.mark.vlbench(baseline="stored.json", tower="{TOY}", grid="1x4x6", max_syncs=6)
def test_limit_beside_it():
    pass

@pytest.mark.vlbench(baseline="stored.json", dtype="float32")
def test_of_no_cell():
    pass

@pytest.mark.vlbench(baseline="edited.json")
def test_edited():
    pass
"""


def count_here(grid: Grid) -> CountedCell:
    """The toy on one grid, counted in this process."""
    point = Point(scenario="grid", label="x".join(map(str, grid)), grids=(grid,))
    with CountingDevice("ghost", "sm_90") as device:
        return counted_cell(count_tower(device, Row(TOY, TOY), point, torch.bfloat16)[0], point, "sm_90", "bfloat16")


def with_a_wait_less(forward: CountedForward) -> CountedForward:
    counters = forward.counters | {each: forward.counters[each] - 1 for each in ("host_syncs", "read_backs")}
    lines = (line.model_copy(update={"times": 6}) if line.times == 7 else line for line in forward.sites)
    return forward.model_copy(update={"counters": counters, "sites": tuple(lines)})


def stored_baseline() -> str:
    equal, other = count_here((1, 4, 6)), count_here((1, 8, 4))
    better = other.model_copy(update={"cold": with_a_wait_less(other.cold), "warm": with_a_wait_less(other.warm)})
    acceptance = Acceptance(
        what="saved", by="me", reason="a test", date=datetime.now(UTC), revision=None, dirty=None, torch="any"
    )
    here = Fingerprint(
        vlbench="0", revision=None, dirty=None, python="3", torch="any", os="any", cpu="any", cores=1, memory_gb=1.0
    )
    outputs, _ = store_outputs([TOY], None)
    counted = (equal, better)
    baseline = Baseline(name="stored", fingerprint=here, counted=counted, outputs=outputs, accepted=(acceptance,))
    return baseline.sealed().model_dump_json(indent=1)


def test_baselines(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # the toys are not installed
    stored = stored_baseline()
    Path("stored.json").write_text(stored)
    Path("edited.json").write_text(stored.replace('"host_syncs": 7', '"host_syncs": 8'))
    pytester.makepyfile(STORED)
    pytester.mkdir("below")
    monkeypatch.chdir("below")  # files lie where the root is, wherever pytest was started
    result = run("--rootdir", pytester.path, pytester.path)
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*__ test_worse __*",
            f"host syncs rose from 6 to 7, at *: {TOY} grid 1x8x4 bfloat16 sm_90 against stored.json",
            "  tests/counting/toy_towers.py:*: x.split(seqlens.tolist())*",
            "      7x read-back, 6x before; *",
            "  if that is meant: `vlbench gate --baseline stored.json`, then `vlbench baseline accept stored.json *",
            "*__ test_limit_beside_it __*",
            "host syncs 7, at most 6: *",
            "*__ test_of_no_cell __*",
            f"stored.json: no counted cell is what the marker names (it has {TOY} *); name one of them",
            "*__ test_edited __*",
            "edited.json: was edited by hand since it was accepted: *",
        ]
    )
