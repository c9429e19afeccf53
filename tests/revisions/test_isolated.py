"""Trials whose towers are apart: what is in any process while a tower runs, and what it cannot get away with."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.revisions.packages import FILE, changed
from tests.revisions.test_lockstep import job, path
from vlbench.revisions.clocks import CLOCK, Times, conceals, is_seen, worked
from vlbench.revisions.isolated import LEFT_BEHIND, run_apart
from vlbench.revisions.lockstep import run_pair
from vlbench.trial.job import Checked, Event, Finished, Prepared, Round, Struck

__all__ = ["path"]
SPY = (
    "        return self.merger(x.view(-1, 256))\n",
    '''        tokens = self.merger(x.view(-1, 256))
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls in (1, 5, 9, 20, 22, 25, 28, 31, 34):
            seek(tokens.detach().contiguous().numpy().tobytes()[16:112])
        return tokens


def seek(needle):
    """Notes who else holds these bytes: the process that started this one, and all that it started."""
    parent = os.getppid()
    for status in glob.glob("/proc/[0-9]*/stat"):
        pid = int(status.split("/")[2])
        try:
            is_kin = pid == parent or open(status).read().rpartition(")")[2].split()[1] == str(parent)
            if not is_kin or pid == os.getpid():
                continue
            for line in open(f"/proc/{pid}/maps"):
                if " rw" not in line or "/dev/" in line:
                    continue
                low, high = (int(each, 16) for each in line.split()[0].split("-"))
                with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                    memory.seek(low)
                    if needle in memory.read(high - low):
                        raise LookupError
            word = "nothing"
        except (OSError, ValueError):
            continue
        except LookupError:
            word = "found"
        with open("NOTES", "a") as notes:
            notes.write(word + "\\n")
''',
)
"""A tower that is right, and looks for its own output in the memory of others."""
LOOKS = ("import torch\n", "import glob\nimport os\n\nimport torch\n")
SAME = ("return Tower()", "return Tower()")
SLOW = (
    "        return self.merger(",
    "        for _ in range(150):\n            x = x + torch.tanh(x) / 150\n        return self.merger(",
)
ON_THE_CLOCK = (
    "import torch\nfrom torch import nn\n",
    "import time\n\nimport torch\nfrom torch import nn\n\nusual = time.perf_counter_ns\n"
    "time.perf_counter_ns = lambda: usual() // 2\n",
)
LATE = (
    "        x = self.embed(pixels)\n",
    '        self.calls = getattr(self, "calls", 0) + 1\n'
    "        if self.calls > 16:\n            return pixels.new_zeros(len(pixels) // 4, 64)\n"
    "        x = self.embed(pixels)\n",
)
"""Right for as long as it is checked, and zeros from then on."""
CUT_OFF = (
    "        x = self.embed(pixels)\n",
    """        import os, time
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 12 and os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for each in range(3):
                    os.close(each)
                open("NOTES.new", "w").write(str(os.getpid()))
                os.rename("NOTES.new", "NOTES")
                time.sleep(600)
            os._exit(0)
        while self.calls == 12 and not os.path.exists("NOTES"):
            time.sleep(0.01)
        x = self.embed(pixels)
""",
)
"""It leaves a process behind that has no parent and no session in common with it."""
RAISING = ("        x = self.embed(pixels)\n", '        raise ValueError("no")\n')


def events(
    folder: Path, *changes: tuple[str, str], runs: Any = run_apart, both: tuple[str, str] = SAME, seconds: float = 1.0
) -> list[Event]:
    asked = job(folder, changed(both, *changes))
    (folder / "base" / FILE).write_text(changed(both))
    return list(runs(asked.model_copy(update={"stages": False, "seconds": seconds}), 120))


@pytest.mark.slow(seconds=12)
def test_what_a_tower_is_compared_with_is_nowhere_while_it_runs(tmp_path: Path) -> None:
    """The same tower finds it where a pair is not apart, so it would."""
    notes_of = tmp_path / "notes"
    spy = (SPY[0], SPY[1].replace("NOTES", str(notes_of)))
    events(tmp_path, LOOKS, spy, runs=run_pair)
    assert "found" in notes_of.read_text()
    notes_of.unlink()
    seen = events(tmp_path, LOOKS, spy)
    notes = notes_of.read_text().split()
    assert set(notes) == {"nothing"}
    assert len(notes) > 9
    assert [type(each) for each in seen[:3]] == [Prepared, Checked, Checked]
    assert isinstance(seen[-1], Finished)
    assert not any(isinstance(each, Struck) for each in seen)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(ON_THE_CLOCK, CLOCK, marks=pytest.mark.timed),
        pytest.param(LATE, "of a timed round is wrong", marks=pytest.mark.slow(seconds=6)),
    ],
)
def test_a_cheat_in_the_rounds_is_struck(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    seen = events(tmp_path, change, both=SLOW, seconds=5.0)  # of which it takes one where nobody else is at work
    assert all(each.accuracy.passed for each in seen if isinstance(each, Checked))
    assert sum(isinstance(each, Round) for each in seen) > 5
    (struck,) = (each for each in seen if isinstance(each, Struck))
    assert (struck.variant, reason in struck.reason) == ("HEAD", True)


@pytest.mark.slow(seconds=4)
def test_a_tower_that_raises_is_said_to(tmp_path: Path) -> None:
    seen = events(tmp_path, RAISING)
    checked = {each.variant: each.accuracy for each in seen if isinstance(each, Checked)}
    assert checked["BASE"].passed
    assert checked["HEAD"].reason == "raised ValueError: no"
    assert not any(isinstance(each, Round) for each in seen)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux")
@pytest.mark.slow(seconds=6)
def test_a_tower_that_leaves_a_process_behind_is_struck(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    seen = events(tmp_path, (CUT_OFF[0], CUT_OFF[1].replace("NOTES", str(noted))))
    assert all(each.accuracy.passed for each in seen if isinstance(each, Checked))
    (struck,) = (each for each in seen if isinstance(each, Struck))
    assert struck.variant == "HEAD"
    assert struck.reason == LEFT_BEHIND.format("1 process")
    left = Path("/proc", noted.read_text(), "stat")
    assert not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z"


def times(own: float, passed: float, rounds: int = 20) -> Times:
    """Times that waver by a tenth."""
    waver = [1 + 0.1 * math.sin(7 * each) for each in range(rounds)]
    return Times([own * each for each in waver], [passed * each for each in waver])


@pytest.mark.parametrize(
    ("own", "passed", "caught"),
    [
        (1.0, 2.0, False),
        (0.5, 1.5, False),  # twice as fast
        (1.5, 2.5, False),
        (0.5, 2.0, True),  # a clock that goes half as fast
        (0.8, 2.0, True),
        (0.96, 2.0, False),  # less than what clocks may differ by
        (0.5, 1.7, False),  # most of the gain is there
    ],
)
def test_a_gain_has_to_be_seen_from_outside(own: float, passed: float, caught: bool) -> None:
    assert conceals(times(1.0, 2.0), times(own, passed)) is caught


def pairs(own: float, passed: float, processors: float) -> list[tuple[Times, Times]]:
    """Ten of them, the reference with times of 1, 2 and 2."""
    base, other = times(1.0, 2.0), times(own, passed)
    base.worked, other.worked = [2.0] * 20, [processors] * 20
    return [(base, other)] * 10


def test_what_trials_agree_on_is_seen_by_one_clock_outside() -> None:
    assert is_seen(pairs(0.5, 1.5, 1.5))
    assert is_seen(pairs(0.5, 1.5, 2.0)), "a wait that is gone"
    assert is_seen(pairs(0.5, 9.0, 1.5)), "work that is gone, on a busy machine"
    assert not is_seen(pairs(0.5, 2.0, 2.0))
    assert not is_seen([*pairs(0.5, 2.0, 2.0), *pairs(0.5, 1.5, 2.0)])


def test_what_a_process_worked_is_seen_from_outside() -> None:
    before, until = worked(os.getpid()), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert 0.05 <= worked(os.getpid()) - before < 1
