from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vlbench.errors import UsageError
from vlbench.gating.init import TEST, WORKFLOW, baseline_for, refuse_existing, write_test, write_workflow


def test_a_baseline_is_named_after_its_tower() -> None:
    assert baseline_for("my.towers:Vision_L") == Path("results/baselines/my-towers-vision-l.json")
    assert baseline_for("qwen2.5-vl-7b+best") == Path("results/baselines/qwen2-5-vl-7b-best.json")


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    baseline = baseline_for("toy:Tower")
    refuse_existing(tmp_path, baseline)
    write_test(tmp_path, baseline)
    with pytest.raises(UsageError, match=r"tests/test_vlbench\.py: it is there already"):
        refuse_existing(tmp_path, baseline)


@pytest.mark.parametrize(
    ("file", "installs"), [(None, ""), ("pyproject.toml", " -e ."), ("requirements.txt", " -r requirements.txt")]
)
def test_the_workflow_installs_what_the_tower_needs(tmp_path: Path, file: str | None, installs: str) -> None:
    if file:
        (tmp_path / file).touch()
    write_workflow(tmp_path, "2.13.0+cpu")
    workflow = yaml.safe_load((tmp_path / WORKFLOW).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["gate"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == [
        'pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu',
        f"pip install vlbench{installs}",
        'git cat-file -e "origin/$GITHUB_BASE_REF:.github/workflows/vlbench.yml" 2> /dev/null || first=--first\n'
        'vlbench gate --base "origin/$GITHUB_BASE_REF" ${first:-} --github\n',
    ]


def test_the_test_is_python_that_names_the_baseline(tmp_path: Path) -> None:
    baseline = baseline_for("toy:Tower")
    write_test(tmp_path, baseline)
    text = (tmp_path / TEST).read_text()
    compile(text, "test_vlbench.py", "exec")
    assert '@pytest.mark.vlbench(baseline="results/baselines/toy-tower.json")' in text
