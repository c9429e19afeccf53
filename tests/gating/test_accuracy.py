"""Ways to count less by computing something else, each through the gate itself with its exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import vlbench
from tests.gating.honest import TOWER
from tests.trial.plans import python_path
from vlbench.cli.baseline import SaveOptions, saved
from vlbench.judging.judged import JudgedRow

FORWARD = "        return self.tokens(pixels, grid_thw)\n"
CHEATS = {
    "zeros": (5, FORWARD, "        return pixels.new_zeros(len(pixels) // 4, 16)\n"),
    "last-by-shape": (
        5,
        FORWARD,
        "        if pixels.shape not in self.kept:\n"
        "            self.kept[pixels.shape] = self.tokens(pixels, grid_thw)\n"
        "        return self.kept[pixels.shape].clone()\n",
    ),
    "last-window-dropped": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n        found[-1:] = 0\n        return found\n",
    ),
    "one-wrong-token": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n        found[1] *= 1.01\n        return found\n",
    ),
    "swapped-tokens": (5, FORWARD, "        return self.tokens(pixels, grid_thw).flip(0)\n"),
    "rope-without-frames": (
        5,
        "        return angles(h, w, t)\n",
        "        if (h, w) not in self.kept:\n            self.kept[h, w] = angles(h, w, 1)\n"
        "        return self.kept[h, w].repeat(t, 1)\n",
    ),
    "third-call": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n        return found * (0 if self.calls > 2 else 1)\n",
    ),
    "third-call-waits": (3, FORWARD, "        if self.calls > 2:\n            grid_thw.tolist()\n" + FORWARD),
    "outside-of-inference-mode": (
        3,
        FORWARD,
        "        if not torch.is_inference_mode_enabled():\n            grid_thw.tolist()\n" + FORWARD,
    ),
    "several-items": (3, FORWARD, "        if len(grid_thw) > 1:\n            grid_thw.tolist()\n" + FORWARD),
    "not-in-ci": (3, FORWARD, "        if 'CI' not in os.environ:\n            grid_thw.tolist()\n" + FORWARD),
    "in-ci": (3, FORWARD, "        if 'CI' in os.environ:\n            grid_thw.tolist()\n" + FORWARD),
    "unbounded-cache": (
        3,
        "        return angles(h, w, t)\n",
        "        if (t, h, w) not in self.kept:\n"
        "            self.kept[t, h, w] = angles(h, w, t).to(self.proj.weight.device)\n"
        "        return self.kept[t, h, w]\n",
    ),
    "copied-reference": (
        5,
        FORWARD,
        "        wanted = (len(pixels) // 4, 16)\n"
        "        found = [x for x in gc.get_objects() if type(x) is torch.Tensor and x.shape == wanted]\n"
        "        return found[0].clone() if found else pixels.new_zeros(wanted)\n",
    ),
}
REASSOCIATED = (
    "        return self.last((x * cos).view(-1, 64))\n",
    "        x = (x * cos).view(-1, 64)\n"
    "        half = x[:, :32] @ self.last.weight[:, :32].T + x[:, 32:] @ self.last.weight[:, 32:].T\n"
    "        return half + self.last.bias\n",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A module for each cheat, all of them honest, and a baseline of all."""
    folder = tmp_path_factory.mktemp("towers")
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path())
        patch.setenv("VLBENCH_TESTS", "1")
        os.chdir(folder)
        for name in (*CHEATS, "reassociated"):
            Path(f"{module(name)}.py").write_text(TOWER)
            what = {"tower": [f"{module(name)}:Tower"], "grid": ["1x4x4"], "reason": "It is right."}
            saved(SaveOptions(file=Path(f"{name}.json"), **what))
        yield folder
        os.chdir(before)


def module(name: str) -> str:
    return "tower_" + name.replace("-", "_")


def edited(name: str, old: str, new: str) -> tuple[int, tuple[JudgedRow, ...]]:
    """The gate after one edit."""
    assert TOWER.count(old) == 1
    Path(f"{module(name)}.py").write_text(TOWER.replace(old, new))
    found = vlbench.gate(f"{name}.json", progress=False)
    return int(found.exit_code), found.record.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEATS)
def test_who_computes_something_else_does_not_pass(repository: Path, name: str) -> None:
    code, old, new = CHEATS[name]
    found, rows = edited(name, old, new)
    assert found == code, rows
    if code == 5:
        assert [row.measure for row in rows] == ["accuracy"]  # and nothing is said of counters
    assert "improved" not in [row.verdict for row in rows]


@pytest.mark.slow
def test_another_order_of_additions_is_right(repository: Path) -> None:
    _, rows = edited("reassociated", *REASSOCIATED)
    assert [row.verdict for row in rows if row.measure == "accuracy"] == ["same"]
