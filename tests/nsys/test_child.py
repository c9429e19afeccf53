"""The captured program's own record: exit codes survive, windows count; outside a capture nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlbench.nsys.child import VARIABLE, captured, read_sidecar, record, watch, window


@pytest.fixture
def sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "capture.sidecar.jsonl"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_returned_code_is_recorded(sidecar: Path, returned: int | None, code: int) -> None:
    assert watch(lambda: returned) == code
    seen = read_sidecar(sidecar)
    assert (seen.started, seen.code) == (True, code)


@pytest.mark.parametrize(("value", "code"), [(0, 0), (None, 0), (42, 42), ("sorry", 1)])
def test_system_exit_is_recorded_and_passed_on(sidecar: Path, value: object, code: int) -> None:
    def main() -> int:
        raise SystemExit(value)

    with pytest.raises(SystemExit):
        watch(main)
    assert read_sidecar(sidecar).code == code


def test_an_exception_is_a_failure(sidecar: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        watch(lambda: 1 // 0)
    assert read_sidecar(sidecar).code == 1


def test_a_crash_leaves_no_code(sidecar: Path) -> None:
    program = "import os; from vlbench.nsys.child import watch; watch(lambda: os._exit(0))"
    subprocess.run([sys.executable, "-c", program], env=os.environ, check=True)
    seen = read_sidecar(sidecar)
    assert (seen.started, seen.code) == (True, None)


def test_nothing_is_written_outside_a_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert not captured()
    assert watch(lambda: 5) == 5
    with window() as count:
        count()
    assert list(tmp_path.iterdir()) == []


def test_the_child_side_stays_light() -> None:
    program = (
        "import sys; from vlbench.nsys.child import watch, window; watch(lambda: 0); "
        "print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_windows_of_several_processes_add_up(sidecar: Path) -> None:
    record("started")
    record("window", iterations=2)
    record("window", iterations=3)
    with sidecar.open("a") as file:
        file.write('{"event": "exi')  # cut short
    seen = read_sidecar(sidecar)
    assert (seen.windows, seen.iterations, seen.code) == (2, 5, None)


def test_a_window_opens_the_profiler_around_finished_work(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append("synchronize"))
    monkeypatch.setattr(torch.cuda.profiler, "start", lambda: calls.append("start"))
    monkeypatch.setattr(torch.cuda.profiler, "stop", lambda: calls.append("stop"))
    with window() as count:
        for _ in range(3):
            count()
        calls.append("work")
    assert calls == ["synchronize", "start", "work", "synchronize", "stop"]
    assert (read_sidecar(sidecar).windows, read_sidecar(sidecar).iterations) == (1, 3)


def test_a_window_without_a_device_is_told(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with window() as count:
        count()
    assert read_sidecar(sidecar).no_cuda
