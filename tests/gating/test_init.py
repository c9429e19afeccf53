from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vlbench.errors import UsageError
from vlbench.gating.init import places_for, write_test, write_workflow


def test_a_baseline_is_named_after_its_tower() -> None:
    assert places_for("my.towers:Vision_L").baseline == Path("results/baselines/my-towers-vision-l.json")
    assert places_for("qwen2.5-vl-7b+best").baseline == Path("results/baselines/qwen2-5-vl-7b-best.json")


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    places = places_for("toy:Tower")
    places.refuse_existing(tmp_path)
    write_test(tmp_path, places)
    with pytest.raises(UsageError, match=r"tests/test_vlbench\.py: it is there already"):
        places.refuse_existing(tmp_path)


@pytest.mark.parametrize(
    ("file", "installs"), [(None, ""), ("pyproject.toml", " -e ."), ("requirements.txt", " -r requirements.txt")]
)
def test_the_workflow_installs_what_the_tower_needs(tmp_path: Path, file: str | None, installs: str) -> None:
    if file:
        (tmp_path / file).touch()
    places = places_for("toy:Tower")
    write_workflow(tmp_path, places, "2.13.0+cpu")
    steps = yaml.safe_load((tmp_path / places.workflow).read_text())["jobs"]["gate"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == [
        'pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu',
        f"pip install vlbench{installs}",
        "vlbench gate --baseline results/baselines/toy-tower.json --github",
    ]


def test_the_test_is_python_that_names_the_baseline(tmp_path: Path) -> None:
    places = places_for("toy:Tower")
    write_test(tmp_path, places)
    text = (tmp_path / places.test).read_text()
    compile(text, "test_vlbench.py", "exec")
    assert '@pytest.mark.vlbench(baseline="results/baselines/toy-tower.json")' in text
