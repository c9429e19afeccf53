"""What runs a plan on a launcher that exists: a workflow of GitHub, a pipeline of Buildkite, an array job of Slurm."""

import json
import re
import shlex
from typing import Any

from vlbench.errors import UsageError
from vlbench.matrix.shards import check_parts
from vlbench.record.plan_file import PlanLine

MARGIN = 2
"""Times the budget of a part that a launcher gives it, beside `START`: what starts, ends and the cells at both ends."""
START = 1200
"""Seconds."""


def github(lines: list[PlanLine], path: str, parts: int, install: str) -> str:
    """A workflow with a job for each part and one that puts them together. JSON is YAML."""
    number = "${{ matrix.shard }}"
    run = _run(path, number, parts)
    steps = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": install},
    ]
    keep = {"uses": "actions/upload-artifact@v4"}
    shard = {
        "runs-on": ["self-hosted", "gpu"] if _on_gpu(lines) else "ubuntu-latest",
        "timeout-minutes": _minutes(lines, parts),
        "strategy": {"fail-fast": False, "matrix": {"shard": list(range(1, parts + 1))}},
        "steps": [
            *steps,
            {"run": run},
            keep | {"with": {"name": f"shard-{number}", "path": f"shard-{number}.json", "if-no-files-found": "error"}},
        ],
    }
    fetch = {"uses": "actions/download-artifact@v4", "with": {"pattern": "shard-*", "merge-multiple": True}}
    merged = {
        "runs-on": "ubuntu-latest",
        "needs": "shard",
        "steps": [
            *steps,
            fetch,
            {"run": f"{_merge(path)} --github"},
            keep | {"with": {"name": "merged", "path": "merged.json"}},
        ],
    }
    return _json(
        {
            "name": "vlbench plan",
            "on": "workflow_dispatch",
            "permissions": {"contents": "read"},
            "jobs": {"shard": shard, "merge": merged},
        }
    )


def buildkite(lines: list[PlanLine], path: str, parts: int, install: str) -> str:
    """A pipeline with a parallel step and one that puts the parts together, for `buildkite-agent pipeline upload`."""
    which = "$$((BUILDKITE_PARALLEL_JOB + 1))"  # $$: it is the agent's shell that reads it, not the upload
    shard: dict[str, Any] = {
        "label": "shard",
        "key": "shard",
        "parallelism": parts,
        "timeout_in_minutes": _minutes(lines, parts),
        "commands": [install, f"shard={which}", _run(path, "$$shard", parts)],
        "artifact_paths": "shard-*.json",
    }
    shard |= {"agents": {"queue": "gpu"}} if _on_gpu(lines) else {}
    fetch = 'buildkite-agent artifact download "shard-*.json" .'
    merged = {
        "label": "merge",
        "depends_on": "shard",
        "commands": [install, fetch, _merge(path)],
        "artifact_paths": "merged.json",
    }
    return _json({"steps": [shard, merged]})


def slurm(lines: list[PlanLine], path: str, parts: int, install: str) -> str:
    """A script for `sbatch`, an array job with a task for each part. vlbench is where it was when that was called."""
    wants = ["#SBATCH --gpus=1"] if _on_gpu(lines) else ["#SBATCH --exclusive"]
    task = "$SLURM_ARRAY_TASK_ID"
    return "\n".join(
        [
            "#!/bin/bash",
            "#SBATCH --job-name=vlbench",
            f"#SBATCH --array=1-{parts}",
            f"#SBATCH --time={_minutes(lines, parts)}",
            "#SBATCH --no-requeue",
            *wants,
            f"# Each node has vlbench: {install}",
            f"# Then: {_merge(path)}",
            "set -euo pipefail",
            _run(path, task, parts),
        ]
    )


LAUNCHERS = {"github": github, "buildkite": buildkite, "slurm": slurm}
"""By the option that prints it."""


def job_text(launcher: str, lines: list[PlanLine], path: str, parts: int, install: str) -> str:
    """What a launcher runs.

    Raises UsageError for a name that a launcher would read as something else, and for parts that the plan cannot have.
    """
    if not re.fullmatch(r"[\w./-]+", path, re.ASCII) or path.startswith("-"):
        raise UsageError(f"--out {path}: its name stands in a script; take letters, digits, dots, - and / alone")
    check_parts(f"--shards {parts}", parts, lines[0].groups)
    return LAUNCHERS[launcher](lines, path, parts, install)


def install_command(arguments: tuple[str, ...]) -> str:
    """What installs vlbench where a part runs."""
    return f"pip install {shlex.join(arguments)}"


def _run(path: str, number: str, parts: int) -> str:
    return f'vlbench run --plan {path} --shard "{number}/{parts}" --out "shard-{number}.json"'


def _merge(path: str) -> str:
    return f"vlbench merge --expect {path} shard-*.json --out merged.json"


def _on_gpu(lines: list[PlanLine]) -> bool:
    return lines[0].needs.device == "cuda"


def _minutes(lines: list[PlanLine], parts: int) -> int:
    """For the part with the most groups."""
    groups = -(-lines[0].groups // parts)
    return round((START + MARGIN * groups * lines[0].trials * lines[0].seconds) / 60)


def _json(document: object) -> str:
    return json.dumps(document, indent=2)
