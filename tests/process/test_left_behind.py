"""What a process of ours has left behind: it is found however it was handed on, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from vlbench.process.left_behind import adopting, end_left_behind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux")
PLAIN = "pass"
CUT_OFF = "os.setsid(); os.fork() and os._exit(0)"
STARTS = """
import os, sys, time
for each in range({number}):
    if not os.fork():
        {how}
        os.write(1, b"x")
        time.sleep({seconds})
        os._exit(0)
sys.stdin.read()
"""


@pytest.fixture(params=[False, True], ids=["in our session", "in one of its own"])
def other(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """One that somebody else in this process has started."""
    with subprocess.Popen(["sleep", "60"], start_new_session=request.param) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(("how", "number"), [(PLAIN, 0), (PLAIN, 2), (CUT_OFF, 2)])
def test_all_that_is_left_behind_is_ended(other: subprocess.Popen[bytes], how: str, number: int) -> None:
    command = [sys.executable, "-I", "-S", "-c", STARTS.format(how=how, number=number, seconds=60)]
    with (
        adopting() as strangers,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as started,
    ):
        assert started.stdout
        assert started.stdout.read(number) == b"x" * number
        assert end_left_behind(started.pid, strangers) == number
        assert end_left_behind(started.pid, strangers) == 0
        assert started.poll() is None
        assert other.poll() is None
        started.kill()


@pytest.mark.parametrize(("seconds", "number"), [(60, 2), (0.2, 0)])
def test_what_an_ended_process_has_left_behind_may_end_by_itself(
    other: subprocess.Popen[bytes], seconds: float, number: int
) -> None:
    command = [sys.executable, "-I", "-S", "-c", STARTS.format(how=CUT_OFF, number=2, seconds=seconds)]
    with adopting() as strangers:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as started:
            assert started.stdout
            assert started.stdout.read(2) == b"xx"
            started.kill()
        assert end_left_behind(None, strangers, 1.0) == number
        assert other.poll() is None
