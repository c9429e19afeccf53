"""docs/python.md runs as it stands, on a tiny tower; so does the Python of the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.pages import blocks
from tests.record.baselines import ACCEPTED
from tests.record.records import FINGERPRINT
from tests.trial.plans import ROOT, work_in
from vlbench.comparing.counted_cells import grid_point
from vlbench.gating.save import count_all, count_requests, save, store_outputs

PAGE = (ROOT / "docs/python.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
TINY = {
    '"multi-image"': '"small.toml"',
    "trials=5, budget=300": "trials=1, budget=1, card=False, device='cpu'",
    '"qwen2.5-vl-7b"': '"qwen2.5-vl-tiny"',
    '"1x36x36"': '"1x4x6"',
}
"""What a test does in place of what a person would wait for."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work_in(tmp_path, monkeypatch)
    return tmp_path


def run(block: str) -> str:
    for large, tiny in TINY.items():
        block = block.replace(large, tiny)
    exec(compile(block, "docs/python.md", "exec"), {})
    return block


@pytest.mark.slow
def test_the_readme(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("README.md"):
        if block.file:
            Path(block.file).write_text(block.text)
    (block,) = (each.text for each in blocks("README.md") if each.text.startswith("import vlbench"))
    assert block.count("\n") <= 10
    counted = count_all(count_requests(["my_tower:Tower"], (), [grid_point(((1, 4, 6),))], "sm_90", "bfloat16"))
    outputs, _ = store_outputs(["my_tower:Tower"], None)
    save(folder / "results/baselines/my-tower-tower.json", FINGERPRINT, ACCEPTED, counted=counted, outputs=outputs)
    run(block)
    assert "device_operations" in capsys.readouterr().out


def test_each_main_job_takes_ten_lines_at_most() -> None:
    assert len(BLOCKS) == 3
    assert max(block.count("\n") for block in BLOCKS) <= 10


def test_the_main_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "small.toml" in run(BLOCKS[0])
    assert (folder / "results.json").exists()


def test_the_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(BLOCKS[1])
    assert "device_operations" in capsys.readouterr().out


def test_the_gate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = count_all(count_requests(["qwen2.5-vl-tiny"], (), [grid_point(((1, 4, 6),))], "sm_90", "bfloat16"))
    outputs, _ = store_outputs(["qwen2.5-vl-tiny"], None)
    save(folder / "results/baselines/towers.json", FINGERPRINT, ACCEPTED, counted=counted, outputs=outputs)
    run(BLOCKS[2])
    assert "verdict" in capsys.readouterr().out
