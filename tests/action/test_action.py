"""The GitHub Action: its scripts run by bash, with stand-ins for the programs that they call."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ACTION = Path(__file__).parents[2] / "action"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def stand_in(folder: Path, name: str, script: str) -> None:
    """An executable that writes its arguments down, one call a line, and then runs `script`."""
    path = folder / name
    note = f'{{ printf "%s|" "$@"; echo; }} >> "{folder}/{name}.calls"'
    path.write_text(f"#!/usr/bin/env bash\n{note}\n{script}\n")
    path.chmod(0o755)


def calls(folder: Path, name: str) -> list[list[str]]:
    path = folder / f"{name}.calls"
    return [line.split("|")[:-1] for line in path.read_text().splitlines()] if path.exists() else []


def run(script: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder / "temp"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "TIMES": "auto",
        "BASELINE": "",
        "ALLOW_INCONCLUSIVE": "false",
        "AB": "",
        "FIRST": "false",
        "REPORT_ONLY": "false",
        "BASE_REF": "main",
    }
    (folder / "temp").mkdir(exist_ok=True)
    return subprocess.run(
        [ACTION / script], cwd=folder, env=environment | settings, capture_output=True, text=True, check=True
    )


def outputs(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())


def test_the_gate_gets_what_the_inputs_say_and_its_status_is_kept(tmp_path: Path) -> None:
    stand_in(tmp_path, "vlbench", "exit 3")
    run("judge.sh", tmp_path, BASELINE="one.json\ntwo words.json\n", TIMES="never", ALLOW_INCONCLUSIVE="true")
    (gate,) = calls(tmp_path, "vlbench")
    assert gate[:4] == ["gate", "--times", "never", "--github"]
    assert gate[8:] == [
        "--baseline", "one.json", "--baseline", "two words.json", "--allow-inconclusive", "--base", "origin/main",
    ]  # fmt: skip
    assert outputs(tmp_path) == {"exit-code": "3", "reports": str(tmp_path / "temp" / "vlbench")}


@pytest.mark.parametrize(("gate", "ab", "code"), [(0, 0, 0), (0, 3, 3), (6, 3, 6), (4, 0, 4)])
def test_the_merge_base_is_timed_against_the_head_and_the_first_failure_counts(
    tmp_path: Path, gate: int, ab: int, code: int
) -> None:
    stand_in(tmp_path, "vlbench", f'[ "$1" = gate ] && exit {gate}; exit {ab}')
    stand_in(tmp_path, "git", "echo 0123abc")
    run("judge.sh", tmp_path, AB="--tower 'my towers:vision'\n--scenario video")
    assert calls(tmp_path, "git") == [["merge-base", "origin/main", "HEAD"]]
    assert calls(tmp_path, "vlbench")[1][:7] == [
        "ab", "0123abc", "HEAD", "--tower", "my towers:vision", "--scenario", "video",
    ]  # fmt: skip
    assert outputs(tmp_path)["exit-code"] == str(code)


def test_without_a_merge_base_nothing_passes(tmp_path: Path) -> None:
    stand_in(tmp_path, "vlbench", "exit 0")
    stand_in(tmp_path, "git", "exit 1")
    done = run("judge.sh", tmp_path, AB="--scenario video")
    assert "fetch-depth: 0" in done.stdout
    assert outputs(tmp_path)["exit-code"] == "6"


def test_outside_of_a_pull_request_only_the_gate_runs(tmp_path: Path) -> None:
    stand_in(tmp_path, "vlbench", "exit 0")
    run("judge.sh", tmp_path, AB="--scenario video", BASE_REF="", FIRST="true")
    (gate,) = calls(tmp_path, "vlbench")
    assert gate[0] == "gate"
    assert not {"--base", "--first"} & {*gate}


def test_the_first_baseline_and_a_report_alone_have_to_be_said(tmp_path: Path) -> None:
    stand_in(tmp_path, "vlbench", '[ "$1" = gate ] && exit 0; exit 3')
    stand_in(tmp_path, "git", "echo 0123abc")
    run("judge.sh", tmp_path, FIRST="true", REPORT_ONLY="true", AB="--scenario video")
    assert calls(tmp_path, "vlbench")[0][-4:] == ["--report-only", "--base", "origin/main", "--first"]
    assert outputs(tmp_path)["exit-code"] == "0"


@pytest.mark.parametrize("text", ["$(touch hacked)", "`touch hacked`", "x; touch hacked", "x) ; touch hacked #"])
def test_nothing_of_the_inputs_is_run(tmp_path: Path, text: str) -> None:
    stand_in(tmp_path, "vlbench", "exit 0")
    stand_in(tmp_path, "git", "echo 0123abc")
    run("judge.sh", tmp_path, AB=f"--tower {text}", BASELINE=text, BASE_REF=text, TIMES=text)
    assert not (tmp_path / "hacked").exists()
    assert calls(tmp_path, "vlbench")[1][3 : 4 + len(text.split())] == ["--tower", *text.split()]


def test_a_quote_that_is_not_closed_is_an_error(tmp_path: Path) -> None:
    stand_in(tmp_path, "vlbench", "exit 0")
    stand_in(tmp_path, "git", "echo 0123abc")
    assert "a quote in the input ab is not closed" in run("judge.sh", tmp_path, AB="--tower 'x").stdout
    assert outputs(tmp_path)["exit-code"] == "2"


@pytest.mark.parametrize(("known", "method"), [("", "POST"), ("42", "PATCH")])
def test_there_is_one_comment_and_it_is_updated(tmp_path: Path, known: str, method: str) -> None:
    stand_in(tmp_path, "gh", f'[ "$2" = --paginate ] && echo {known}; exit 0')
    (tmp_path / "1-gate.md").write_text("the gate\n")
    (tmp_path / "2-ab.md").write_text("the revisions\n")
    run("comment.sh", tmp_path, REPORTS=str(tmp_path), REPOSITORY="us/towers", NUMBER="7")
    assert calls(tmp_path, "gh")[2][1:3] == ["--method", method]
    body = (tmp_path / "temp" / "vlbench-comment.md").read_text()
    assert body == "<!-- vlbench -->\nthe gate\nthe revisions\n"


@pytest.mark.parametrize(("token", "author"), [("exit 1", "github-actions[bot]"), ("echo ada; exit 0", "ada")])
def test_a_comment_of_somebody_else_is_left_alone(tmp_path: Path, token: str, author: str) -> None:
    stand_in(tmp_path, "gh", f'if [ "$2" = user ]; then {token}; fi')
    (tmp_path / "1-gate.md").write_text("the gate\n")
    run("comment.sh", tmp_path, REPORTS=str(tmp_path), REPOSITORY="us/towers", NUMBER="7")
    assert f'select(.user.login == "{author}" and ' in (tmp_path / "gh.calls").read_text()


def test_a_pull_request_from_a_fork_has_no_comment_and_needs_no_token() -> None:
    judge, comment, _ = yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in comment["if"]
    assert not any("token" in value for value in judge["env"].values())


def test_a_comment_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    stand_in(tmp_path, "gh", "exit 1")
    (tmp_path / "1-gate.md").write_text("the gate\n")
    done = run("comment.sh", tmp_path, REPORTS=str(tmp_path), REPOSITORY="us/towers", NUMBER="7")
    assert done.stdout.startswith("::warning")


def test_the_action_sets_what_its_scripts_read_and_ends_with_their_status() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    judge, comment, status = action["runs"]["steps"]
    for step, script in ((judge, "judge.sh"), (comment, "comment.sh")):
        assert script in step["run"]
        assert all(
            f"${name}" in (ACTION / script).read_text() or f"${{{name}" in (ACTION / script).read_text()
            for name in step["env"]
            if name != "GH_TOKEN"
        )
    named = {
        word
        for step in (judge, comment)
        for word in " ".join(step["env"].values()).split()
        if word.startswith("inputs.")
    }
    assert named | {"inputs.comment", "inputs.working-directory"} == {f"inputs.{name}" for name in action["inputs"]}
    assert status["run"] == 'exit "${CODE:-1}"'
    assert "if" not in status


def test_the_workflow_uses_inputs_that_the_action_has() -> None:
    workflow = yaml.safe_load((ACTION.parent / ".github" / "workflows" / "ci.yml").read_text())
    step = workflow["jobs"]["gate"]["steps"][-1]
    assert step["uses"] == "./action"
    assert step["with"].keys() <= yaml.safe_load((ACTION / "action.yml").read_text())["inputs"].keys()
