"""What docs/gpu.md says in words beside its tables is what the files say."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from results.checked_predictions import stored
from results.gpu.tables import CALIBRATIONS, HERE
from vlbench.export.checked_prediction import held_rows
from vlbench.record.calibration import read_calibration

DOCS = Path(__file__).parents[3] / "docs"
PAGE = " ".join((DOCS / "gpu.md").read_text().split())


def test_what_was_counted_was_seen() -> None:
    assert "Waits, uploads and read-backs agree to the last one" in PAGE
    assert "Operations agree as well, by name, but for one `index_select`" in PAGE
    checks = [check for path in CALIBRATIONS.glob("*.json") for check in read_calibration(path).checks]
    assert [check.tower for check in checks if check.counted != check.seen] == []
    assert {name: calls for check in checks for name, calls in check.calls.items()} == {"aten::index_select": (1, 0)}


def test_how_far_two_processes_and_two_rows_are_apart() -> None:
    (held,) = stored()
    assert held.measured
    first, second = (
        {each.name: median(each.timings["warm"].seconds) for each in trial.variants}
        for trial in held.measured.groups[0].trials
    )
    longer = max(second[name] / first[name] for name in first)
    assert f"the second took up to {longer:.1f} times as long as the first" in PAGE
    (best,) = (each.speed_up for each in held_rows(held) if each.row.row == "best")
    assert f"in bfloat16 ({best:.1f}x)" in (DOCS / "flags.md").read_text()


def test_the_kernel_of_the_rotation() -> None:
    found = json.loads((HERE / "case-sglang-fast-rope.json").read_text())["found"]
    (ours,) = (each["ours"].partition(" on ")[0] for each in found if " on NVIDIA H200" in each["ours"])
    assert f"{ours} (`results/gpu/case-sglang-fast-rope.json`)" in PAGE
    assert ours in (DOCS / "cases.md").read_text()
