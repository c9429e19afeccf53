"""The capture wrapper against a stand-in nsys that behaves like each documented success and failure."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vlbench.cli.nsys import app
from vlbench.nsys.command import KEEPS, Options
from vlbench.nsys.failures import CaptureError, Exit
from vlbench.nsys.take import Taken, take

from .synthetic import Database, thread

MAIN = thread(100, 1)

# A real executable: parses what vlbench passes, then acts out the scene named in SCENE.
STAND_IN = """#!{python}
import json, os, shutil, subprocess, sys, time
scene = json.loads(os.environ["SCENE"])
command, *rest = sys.argv[1:]
if command == "--version":
    print("NVIDIA Nsight Systems version 2026.2.1.210-262137639646v0"); sys.exit()
if command == "profile" and rest == ["--help"]:
    print("--capture-range= --capture-range-end= --cuda-graph-trace= --cpuctxsw=")
    print(scene.get("help", "--discard-environment="))
    sys.exit()
output = rest[rest.index("-o") + 1]
if command == "profile":
    if scene.get("record"):
        with open(scene["record"], "w") as file:
            registered = os.environ.get("NSYS_NVTX_PROFILER_REGISTER_ONLY")
            json.dump({{"argv": sys.argv, "registered_only": registered}}, file)
    sidecar = os.environ["VLBENCH_NSYS_SIDECAR"]
    with open(sidecar, "a") as file:
        for event in scene.get("events", []):
            file.write(json.dumps(event) + "\\n")
    print(scene.get("says", "Generating the report"))
    if scene.get("runs"):
        subprocess.call(rest[rest.index("-o") + 2:])
    for suffix, content in scene.get("writes", {{}}).items():
        with open(output + suffix, "w") as file:
            file.write(content)
    if scene.get("signal"):
        os.kill(os.getpid(), scene["signal"])
    sys.exit(scene.get("code", 0))
if command == "export":
    if scene.get("database"):
        shutil.copy(scene["database"], output)
    print(scene.get("export_says", ""))
    sys.exit(scene.get("export_code", 0))
"""

FINE = [
    {"event": "started", "pid": 1, "time": 0.0},
    {"event": "window", "pid": 1, "time": 0.0, "iterations": 3},
    {"event": "exited", "pid": 1, "time": 0.0, "code": 0},
]
REPORT = {".nsys-rep": "report"}


def database(*, ranges: int = 3, kernels: bool = True, calls: bool = True, warning: str = "") -> Database:
    built = Database()
    built.domain(1, "vlbench", MAIN)
    for number in range(ranges):
        built.range(number * 100, number * 100 + 90, "iteration", MAIN, domain=1)
        built.call(number * 100 + 5, number * 100 + 9, "cudaStreamIsCapturing", MAIN, 1000 + number)
        if calls:
            built.call(number * 100 + 10, number * 100 + 15, "cudaLaunchKernel", MAIN, number)
        if kernels:
            built.kernel(number * 100 + 20, number * 100 + 40, "gemm", MAIN, number)
    if warning:
        built.add("DIAGNOSTIC_EVENT", severity=3, text=warning)
    return built


class Stage:
    """A folder with the stand-in on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        binary = folder / "bin" / "nsys"
        binary.parent.mkdir()
        binary.write_text(STAND_IN.format(python=sys.executable))
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(binary.parent), prepend=os.pathsep)
        monkeypatch.delenv("VLBENCH_NSYS", raising=False)
        self.output = folder / "out" / "capture"

    def set(self, scene: dict[str, Any], built: Database | None = None) -> None:
        if built is not None:
            scene = scene | {"database": str(built.save(self.folder / "made.sqlite"))}
        self.monkeypatch.setenv("SCENE", json.dumps({"events": FINE, "writes": REPORT} | scene))

    def take(self) -> Taken:
        return take(["run", "--scenario", "tiny"], self.output, Options())


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_success(stage: Stage) -> None:
    record = stage.folder / "record.json"
    stage.set({"record": str(record)}, database())
    taken = stage.take()
    assert taken.sidecar.code == 0
    assert taken.sidecar.iterations == 3
    assert taken.notes == ()
    assert len(taken.capture.gpu_ops) == 3
    seen = json.loads(record.read_text())
    assert seen["registered_only"] == "0"
    assert seen["argv"][-7:] == [sys.executable, "-P", "-m", "vlbench", "run", "--scenario", "tiny"]
    for option in (
        "--sample=none",
        "--capture-range-end=stop",
        "--cuda-graph-trace=node",
        "--discard-environment=true",
    ):
        assert option in seen["argv"]


def test_an_old_nsys_that_keeps_the_environment_is_named_before_and_after(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    record = stage.folder / "record.json"
    stage.set({"record": str(record), "help": ""}, database())
    assert stage.take().notes == (KEEPS,)
    assert "--discard-environment=true" not in json.loads(record.read_text())["argv"]
    assert capfd.readouterr().err.startswith(f"warning: {KEEPS}\n")
    stage.set({"help": "", "events": [FINE[0], {"event": "exited", "code": 42}]}, None)
    with pytest.raises(CaptureError):
        stage.take()
    assert KEEPS in capfd.readouterr().err


SIGTERM, SIGKILL = 15, 9
FAILURES: dict[str, tuple[dict[str, Any], Database | None, Exit, str]] = {
    "exit 0 without a report": (
        {"writes": {}, "says": "No reports were generated", "events": [FINE[0], FINE[2]]},
        None,
        Exit.NO_REPORT,
        "without reaching cudaProfilerStart",
    ),
    "no CUDA device": (
        {"writes": {}, "events": [FINE[0], {"event": "no_cuda"}, FINE[2]]},
        None,
        Exit.NO_REPORT,
        "saw no CUDA device",
    ),
    "window opened but no report": ({"writes": {}}, None, Exit.NO_REPORT, "although the program opened"),
    "raw data only": ({"writes": {".qdstrm": "raw"}}, None, Exit.NO_REPORT, "only the raw data"),
    "empty report": ({"writes": {".nsys-rep": ""}}, None, Exit.NO_REPORT, "is empty"),
    "terminated": ({"writes": {}, "code": 143}, None, Exit.NO_REPORT, "SIGTERM"),
    "killed by a signal": ({"writes": {}, "signal": SIGKILL}, None, Exit.NO_REPORT, "out of memory"),
    "permission": (
        {"writes": {}, "code": 1, "says": "perf event paranoid level is 2"},
        None,
        Exit.NO_REPORT,
        "CPU sampling is not permitted",
    ),
    "counters": ({"writes": {}, "code": 1, "says": "ERR_NVGPUCTRPERM"}, None, Exit.NO_REPORT, "administrators"),
    "file exists": ({"writes": {}, "code": 1, "says": "File exists"}, None, Exit.NO_REPORT, "was not overwritten"),
    "unknown option": (
        {"writes": {}, "code": 1, "says": "unrecognised option '--cuda-graph-trace'"},
        None,
        Exit.NO_REPORT,
        "does not know an option",
    ),
    "importer": ({"writes": {}, "says": "Importer failed: libdw.so.1"}, None, Exit.NO_REPORT, "libdw missing"),
    "program failed": (
        {"events": [FINE[0], {"event": "exited", "code": 42}]},
        None,
        Exit.PROGRAM_FAILED,
        "exit code 42",
    ),
    "program crashed": ({"events": FINE[:1], "writes": {}}, None, Exit.PROGRAM_FAILED, "never said that it ended"),
    "export fails": ({"export_code": 1, "export_says": "bad"}, None, Exit.INCOMPLETE, "`nsys export` failed"),
    "export writes nothing": ({}, None, Exit.INCOMPLETE, "`nsys export` failed with 0"),
    "empty tables": ({}, Database(), Exit.INCOMPLETE, "no kernel and no launch"),
    "launches without kernels": ({}, database(kernels=False), Exit.INCOMPLETE, "3 launches but no kernel"),
    "kernels without launches": ({}, database(calls=False), Exit.INCOMPLETE, "3 kernels but no launch"),
    "another profiler": (
        {},
        database(kernels=False, warning="CUPTI_ERROR_MULTIPLE_SUBSCRIBERS"),
        Exit.INCOMPLETE,
        "another profiler holds CUPTI",
    ),
    "iterations lost": ({}, database(ranges=2), Exit.INCOMPLETE, "counted 3 iterations, the report has 2"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_has_cause_remedy_and_code(stage: Stage, name: str) -> None:
    scene, built, code, says = FAILURES[name]
    stage.set(scene, built)
    with pytest.raises(CaptureError, match=says) as error:
        stage.take()
    assert error.value.code == code
    assert error.value.remedy


@pytest.mark.parametrize("code", [0, 42])
def test_the_exit_code_of_a_real_child_survives_nsys(stage: Stage, code: int) -> None:
    """The stand-in runs the program and, like nsys, ends with 0 whatever the program returned."""
    program = f"from vlbench.nsys.child import watch; raise SystemExit(watch(lambda: {code}))"
    stage.monkeypatch.setattr("vlbench.nsys.command.child_program", lambda _: [sys.executable, "-c", program])
    stage.set({"runs": True, "events": []}, database())
    if code:
        with pytest.raises(CaptureError, match="exit code 42") as error:
            stage.take()
        assert error.value.code == Exit.PROGRAM_FAILED
    else:
        assert stage.take().sidecar.code == 0


def test_a_report_left_from_before_is_not_taken_for_new(stage: Stage) -> None:
    stage.set({}, database())
    stage.take()
    stage.set({"writes": {}}, None)
    with pytest.raises(CaptureError, match="left from an earlier capture") as error:
        stage.take()
    assert error.value.code == Exit.NO_REPORT


def test_a_good_report_of_a_terminated_nsys_is_kept_with_a_note(stage: Stage) -> None:
    stage.set({"code": 143}, database())
    assert "143" in stage.take().notes[0]


def test_a_program_without_a_sidecar_is_noted(stage: Stage) -> None:
    stage.set({"events": []}, database())
    assert "left no sidecar" in stage.take().notes[0]


def test_nsys_missing(stage: Stage) -> None:
    shutil.rmtree(stage.folder / "bin")
    stage.monkeypatch.setenv("VLBENCH_NSYS", str(stage.folder / "nowhere"))
    with pytest.raises(CaptureError, match="nsys was not found") as error:
        stage.take()
    assert error.value.code == Exit.NO_NSYS


def test_the_command_line_prints_tables_or_the_remedy(stage: Stage) -> None:
    runner = CliRunner(env={"COLUMNS": "80"})
    arguments = ["capture", "--force", "-o", str(stage.output), "--", "run", "--scenario", "tiny"]
    stage.set({}, database())
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0
    assert "vlbench:iteration" in done.stdout

    stage.set({"events": [FINE[0], {"event": "exited", "code": 42}]}, None)
    done = runner.invoke(app, arguments)
    assert done.exit_code == 13
    assert "Remedy: run it without nsys first" in done.stderr

    done = runner.invoke(app, [*arguments[:1], "--json", *arguments[1:]])
    assert json.loads(done.stdout)["exit_code"] == 13


@pytest.mark.parametrize("end", [".nsys-rep", ".sqlite", ".sidecar.jsonl"])
def test_nothing_that_lies_beside_the_report_is_replaced_without_a_word(stage: Stage, end: str) -> None:
    stage.set({}, database())
    theirs = stage.output.with_name(f"{stage.output.name}{end}")
    theirs.parent.mkdir()
    theirs.write_text("not yours")
    done = CliRunner().invoke(app, ["capture", "-o", str(stage.output), "--", "run", "--scenario", "tiny"])
    assert str(done.exception).startswith(f"--output {theirs}: there is a file already; --force replaces it")
    assert [path.read_text() for path in theirs.parent.iterdir()] == ["not yours"]


def test_print_shows_the_command_and_runs_nothing(stage: Stage) -> None:
    stage.set({}, None)
    done = CliRunner().invoke(app, ["capture", "--print", "-o", str(stage.output), "--", "run", "--seed", "1"])
    assert done.exit_code == 0
    assert "nsys profile --trace=cuda,nvtx --sample=none" in done.stdout
    assert done.stdout.strip().endswith("-m vlbench run --seed 1")
    assert not stage.output.parent.exists()
