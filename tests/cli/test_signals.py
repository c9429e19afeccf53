"""Ctrl-C, SIGTERM and a closed terminal, through the real command: results, journal, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from tests.trial.plans import SCENARIO_FILE, python_path
from vlbench.process.signals import ending_in_order
from vlbench.record.files import read_results

RUN = ("run", "--device", "cpu", "--no-card", "--scenario", "small.toml", "--with", "host-grid", "--out", "a.json")
ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SCENARIO_FILE)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "towers.py").write_text("import time\n\ndef endless():\n    time.sleep(600)\n")
    return tmp_path


def ended(folder: Path, arguments: Sequence[str], send: Callable[[psutil.Process], None]) -> tuple[int, str, str]:
    """How a command ended that was sent signals once it had a worker at work."""
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import runpy; "
    program += "sys.argv[0] = 'vlbench'; runpy.run_module('vlbench', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": python_path(), "TMPDIR": str(folder / "tmp"), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    parent, deadline = psutil.Process(process.pid), time.monotonic() + 120
    while not (workers := parent.children(recursive=True)) or not marked(folder):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    send(parent)
    start = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert not psutil.wait_procs(workers, timeout=5)[1]
    left = [path.name for path in (folder / "tmp").iterdir() if path.name.startswith("vlbench-")]
    assert left == []
    assert "Traceback" not in err
    return process.returncode, out, err


def marked(folder: Path) -> bool:
    """Does a worker say what it is calling, or has it had a while to start?"""
    markers = list((folder / "tmp").glob("vlbench-*/marker"))
    return any(path.read_bytes().strip(b"\0") or time.time() - path.stat().st_ctime > 8 for path in markers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "how"),
    [*((number, how) for number in ENDINGS for how in ("once", "to the group")), (signal.SIGINT, "twice")],
)
def test_a_run_ends_in_order(folder: Path, number: signal.Signals, how: str) -> None:
    def send(process: psutil.Process) -> None:
        if how == "to the group":
            os.killpg(process.pid, number)
            return
        process.send_signal(number)
        if how == "twice":
            time.sleep(0.05)
            process.send_signal(number)

    code, _, err = ended(folder, RUN, send)
    assert code == ENDINGS[number]
    assert "--resume goes on from there" in err
    assert not read_results(folder / "a.json").complete
    assert not list(folder.glob(".*.lock"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("count", "--tower", "towers:endless", "--grid", "1x4x6"),
        ("gate", "init", "towers:endless", "--grid", "1x4x6"),
        ("self-test", "--out", "a.json"),
        ("verify", "--device", "cpu"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_other_commands_end_at_once_too(folder: Path, arguments: Sequence[str]) -> None:
    code, _, _ = ended(folder, arguments, lambda process: process.send_signal(signal.SIGTERM))
    assert code == 143


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_is_heard_once_and_gives_the_usual_status(number: signal.Signals) -> None:
    """In a program of its own, which puts something away for a while."""
    program = (
        "import os, signal, time\n"
        "from vlbench.process.signals import ending_in_order\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with ending_in_order():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), {int(number)}); time.sleep(60)\n"
        "    finally:\n"
        f"        os.kill(os.getpid(), {int(number)}); time.sleep(0.01); print('put away', flush=True)\n"
    )
    env = os.environ | {"PYTHONPATH": python_path()}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (ENDINGS[number], "put away\n", "")


def test_without_a_signal_all_is_as_it_was() -> None:
    before = [signal.getsignal(number) for number in ENDINGS]
    with pytest.raises(SystemExit) as end, ending_in_order():
        sys.exit(3)
    assert end.value.code == 3
    assert [signal.getsignal(number) for number in ENDINGS] == before
