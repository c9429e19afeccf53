"""Ways to count less by computing something else, each through the gate itself, where no trap has them."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import pytest

import vlbench
from tests.gating.honest import TOWER
from tests.trial.plans import python_path
from vlbench.cli.baseline import SaveOptions, saved
from vlbench.gating.accuracy import _outcome, _weighed
from vlbench.gating.complete import complete
from vlbench.implementations.config import MODELS
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.exactness import Accuracy
from vlbench.towers.variants import parse_variant
from vlbench.trial.checks import Outcome
from vlbench.trial.job import Checked

FORWARD = "        return self.tokens(pixels, grid_thw)\n"
CHEATS = {
    "one-wrong-token": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n        found[1] *= 1.01\n        return found\n",
    ),
    "attends-across-equal-items": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n"
        "        equal = len(grid_thw) > 1 and len(set(map(tuple, grid_thw.tolist()))) == 1\n"
        "        return found.mean(0, keepdim=True).expand_as(found).contiguous() if equal else found\n",
    ),
    "more-than-three-items": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n"
        "        if len(grid_thw) > 3:\n            found[-2:] = 0\n        return found\n",
    ),
    "zeros-at-full-size": (
        6,
        FORWARD,
        "        if len(pixels) > 100:\n            return pixels.new_zeros(len(pixels) // 4, 16)\n" + FORWARD,
    ),
    "third-call": (
        5,
        FORWARD,
        "        found = self.tokens(pixels, grid_thw)\n        return found * (0 if self.calls > 2 else 1)\n",
    ),
    "zeros-on-a-gpu": (
        6,
        FORWARD,
        "        if pixels.is_cuda:\n            return pixels.new_zeros(len(pixels) // 4, 16)\n" + FORWARD,
    ),
    "zeros-where-a-gpu-is": (
        6,
        FORWARD,
        "        if torch.cuda.is_available():\n            return pixels.new_zeros(len(pixels) // 4, 16)\n" + FORWARD,
    ),
    "no-rope-on-a-gpu": (6, "(x * cos).view(-1, 64)", "(x if x.device.type == 'cuda' else x * cos).view(-1, 64)"),
    "last-layer-in-bits-on-a-gpu": (
        6,
        "        return self.last((x * cos).view(-1, 64))\n",
        "        x = (x * cos).view(-1, 64)\n"
        "        return self.last(x[:1]).repeat(len(x), 1) if x.is_cuda else self.last(x)\n",
    ),
}
REASSOCIATED = (
    "        return self.last((x * cos).view(-1, 64))\n",
    "        x = (x * cos).view(-1, 64)\n"
    "        half = x[:, :32] @ self.last.weight[:, :32].T + x[:, 32:] @ self.last.weight[:, 32:].T\n"
    "        return half + self.last.bias\n",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the honest tower and its baseline, to be copied."""
    folder = tmp_path_factory.mktemp("towers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path())
        patch.chdir(folder)
        Path("mine.py").write_text(TOWER)
        saved(SaveOptions(file=Path("mine.json"), tower=["mine:Tower"], grid=["1x12x12"], reason="It is right."))
    return folder


@pytest.fixture
def folder(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it, to be edited."""
    monkeypatch.setenv("PYTHONPATH", python_path())
    monkeypatch.chdir(shutil.copytree(base, tmp_path / "copy"))


def edited(old: str, new: str) -> tuple[int, tuple[JudgedRow, ...]]:
    """The gate after one edit."""
    assert TOWER.count(old) == 1
    Path("mine.py").write_text(TOWER.replace(old, new))
    found = vlbench.gate("mine.json", progress=False)
    return int(found.exit_code), found.record.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEATS)
def test_who_computes_something_else_does_not_pass(folder: None, name: str) -> None:
    code, old, new = CHEATS[name]
    found, rows = edited(old, new)
    assert found == code, rows
    if code == 5:
        assert [row.measure for row in rows] == ["accuracy"]  # and nothing is said of counters
    assert "improved" not in [row.verdict for row in rows]


@pytest.mark.slow
def test_fewer_by_another_path_on_a_gpu_is_shown_with_its_line_and_not_better(folder: None) -> None:
    code, rows = edited("(x * cos).view(-1, 64)", "(x.mul_(cos) if x.is_cuda else x * cos).view(-1, 64)")
    assert code == 0
    accuracy, counters = rows
    assert (accuracy.verdict, counters.verdict) == ("same", "fewer")
    line = 1 + next(n for n, text in enumerate(Path("mine.py").read_text().splitlines()) if "mul_" in text)
    for row in rows:
        assert f"aten::mul at mine.py:{line} runs on a CPU alone and aten::mul_ at mine.py:{line}" in row.reason


def test_what_may_be_rougher_or_has_no_bound_is_not_praised() -> None:
    better = JudgedRow(cell="a", measure="counters", verdict=Verdict.IMPROVED, reason="operations fell from 9 to 8")
    (row,) = _weighed(better, Outcome(kind="right", reason="", moved="its result moved"))
    assert (row.verdict, row.reason) == (
        "fewer",
        "operations fell from 9 to 8; fewer, and not better, since its result moved",
    )
    assert _weighed(better, Outcome(kind="right", reason="")) == [better]
    accuracy = Accuracy(passed=True, exactness="result-changing", fp32_error=0.5, fp32_limit=math.inf)
    variant = parse_variant("rope-lowp", MODELS["qwen2.5-vl-tiny"], "cpu")
    found = _outcome(Checked(variant="rope-lowp", accuracy=accuracy), variant, "qwen2.5-vl-tiny")
    assert (found.kind, found.moved) == ("right", "it is of the class result-changing, which bounds no error")


@pytest.mark.slow
def test_another_order_of_additions_is_right(folder: None) -> None:
    _, rows = edited(*REASSOCIATED)
    assert [row.verdict for row in rows if row.measure == "accuracy"] == ["same"]


def base_gate() -> tuple[int, dict[str, str]]:
    found = vlbench.gate("mine.json", base="HEAD", progress=False)
    return int(found.exit_code), {row.measure: row.verdict for row in found.record.rows}


@pytest.mark.slow
def test_the_merge_base_hands_its_weights_over_and_other_outputs_are_accepted(folder: None) -> None:
    for command in ("init -q", "add .", "-c user.name=A -c user.email=a@example.org commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    made = "        self.proj = nn.Linear(1176, 16)\n"
    drawn_later = TOWER.replace(made, "        torch.randn(1)\n" + made)
    Path("mine.py").write_text(drawn_later)
    assert int(vlbench.gate("mine.json", progress=False).exit_code) == 6  # the weights differ
    assert base_gate() == (0, {"accuracy": "same", "counters": "same"})
    Path("mine.py").write_text(drawn_later.replace(FORWARD, FORWARD.replace("grid_thw)", "grid_thw) * 2")))
    assert base_gate()[0] == 5
    Path("mine.py").write_text(TOWER.replace("place / 7", "place / 8"))
    assert base_gate()[0] == 5
    complete(Path("mine.json"), "Another angle is meant.", outputs=True, by="Ada")
    code, verdicts = base_gate()
    assert (code, verdicts) == (0, {"counters": "same", "accuracy": "same"})
    Path("mine.py").write_text(TOWER.replace("place / 7", "place / 9"))
    assert base_gate()[0] == 5
