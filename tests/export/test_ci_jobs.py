"""What launchers run: read by bash, and as the JSON that it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.matrix.planned import lines
from vlbench.errors import UsageError
from vlbench.export.ci_jobs import LAUNCHERS, job_text
from vlbench.record.plan_file import Needs, PlanLine

PLAN = lines(6)
ON_GPU = lines(6, needs=Needs(device="cuda", packages=()))
INSTALL = "pip install vlbench==0.1.0"


def test_a_workflow_has_a_job_for_each_part_and_one_after_them() -> None:
    made = json.loads(job_text("github", PLAN, "plans/plan.jsonl", 4, INSTALL))
    shard, merge = made["jobs"]["shard"], made["jobs"]["merge"]
    assert shard["strategy"]["matrix"] == {"shard": [1, 2, 3, 4]}
    assert {"run": INSTALL} in shard["steps"]
    told = [step["run"] for step in shard["steps"] if "run" in step][-1]
    assert told == (
        'vlbench run --plan plans/plan.jsonl --shard "${{ matrix.shard }}/4" --out "shard-${{ matrix.shard }}.json"'
    )
    assert merge["needs"] == "shard"
    assert merge["steps"][-2]["run"].startswith("vlbench merge --expect plans/plan.jsonl shard-*.json ")
    assert made["permissions"] == {"contents": "read"}
    assert shard["timeout-minutes"] == 20 + 2 * 2 * 2  # two groups of two trials of a minute, twice
    assert json.loads(job_text("github", ON_GPU, "p", 2, INSTALL))["jobs"]["shard"]["runs-on"] == ["self-hosted", "gpu"]


def test_a_pipeline_has_a_parallel_step_and_one_after_it() -> None:
    shard, merge = json.loads(job_text("buildkite", PLAN, "plan.jsonl", 3, INSTALL))["steps"]
    assert (shard["parallelism"], merge["depends_on"]) == (3, shard["key"])
    script = "\n".join(shard["commands"][1:]).replace("$$", "$").replace("vlbench run", "echo")
    done = subprocess.run(["bash", "-ec", script], env={"BUILDKITE_PARALLEL_JOB": "2"}, capture_output=True, text=True)
    assert done.stdout == "--plan plan.jsonl --shard 3/3 --out shard-3.json\n"
    assert "agents" not in shard
    assert json.loads(job_text("buildkite", ON_GPU, "p", 1, INSTALL))["steps"][0]["agents"] == {"queue": "gpu"}


@pytest.mark.parametrize(("plan", "wants"), [(PLAN, "--exclusive"), (ON_GPU, "--gpus=1")])
def test_an_array_job_is_a_script_with_a_task_for_each_part(plan: list[PlanLine], wants: str, tmp_path: Path) -> None:
    script = tmp_path / "plan.sh"
    script.write_text(job_text("slurm", plan, "plan.jsonl", 6, INSTALL))
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    assert f"#SBATCH --array=1-6\n#SBATCH --time=24\n#SBATCH --no-requeue\n#SBATCH {wants}\n" in script.read_text()
    told = script.read_text().replace("vlbench run", "echo")
    done = subprocess.run(["bash", "-c", told], env={"SLURM_ARRAY_TASK_ID": "5"}, capture_output=True, text=True)
    assert done.stdout == "--plan plan.jsonl --shard 5/6 --out shard-5.json\n"


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("name", ["a b", "$(id)", "a;b", "${{ x }}", "-x", "a\nb", "'"])
def test_a_name_that_a_shell_or_an_engine_reads_otherwise_is_refused(launcher: str, name: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)--out .*: its name stands in a script"):
        job_text(launcher, PLAN, name, 1, INSTALL)


@pytest.mark.parametrize("parts", [0, -1, 7])
def test_parts_are_of_whole_groups(parts: int) -> None:
    with pytest.raises(
        UsageError, match=f"^--shards {parts}: the plan has 6 groups, which stay whole; take 1 to 6 parts"
    ):
        job_text("slurm", PLAN, "plan.jsonl", parts, INSTALL)
