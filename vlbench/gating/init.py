"""Puts somebody's repository under the gate: a baseline of its tower, a test, and a workflow."""

import platform
import re
from importlib.resources import files
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.record.baseline_files import FOLDER

TEST = Path("tests/test_vlbench.py")
WORKFLOW = Path(".github/workflows/vlbench.yml")


def baseline_for(tower: str, folder: Path = FOLDER) -> Path:
    """`my.towers:Vision` has its baseline in `folder`/my-towers-vision.json."""
    slug = re.sub(r"[^a-z0-9.]+", "-", tower.lower().replace(":", "-")).strip("-").replace(".", "-")
    return folder / f"{slug}.json"


def refuse_existing(root: Path, baseline: Path) -> None:
    """Raises UsageError where one of the three files is there already."""
    for path in (baseline, TEST, WORKFLOW):
        if (root / path).exists():
            raise UsageError(f"{path}: it is there already; remove it, or use `vlbench baseline save` alone")


def write_test(root: Path, baseline: Path) -> None:
    """The test that fails where a change adds a wait, a copy or an operation."""
    _write(root / TEST, "test_vlbench.py.jinja", baseline=baseline.as_posix())


def write_workflow(root: Path, torch_version: str) -> None:
    """The workflow that gates every pull request on a runner without a GPU."""
    _write(
        root / WORKFLOW,
        "vlbench.yml.jinja",
        workflow=WORKFLOW.as_posix(),
        python=".".join(platform.python_version_tuple()[:2]),
        torch=torch_version.partition("+")[0],
        installs=_installs(root),
    )


def _installs(root: Path) -> list[str]:
    """What pip has to install so that the tower can be imported."""
    if (root / "pyproject.toml").exists() or (root / "setup.py").exists():
        return ["-e ."]
    return ["-r requirements.txt"] if (root / "requirements.txt").exists() else []


def _write(path: Path, template: str, **values: object) -> None:
    from jinja2 import Environment, StrictUndefined

    # Workflows are full of ${{ }}, so ours are other brackets.
    environment = Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    text = (files("vlbench") / "gating" / "templates" / template).read_text()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(environment.from_string(text).render(values))
