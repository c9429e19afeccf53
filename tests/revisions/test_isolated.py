"""Trials whose towers are apart: what is in any process while a tower runs, and what it cannot get away with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.revisions.packages import changed
from tests.revisions.test_lockstep import job, path
from vlbench.revisions.clocks import CLOCK, Times, conceals
from vlbench.revisions.isolated import run_apart
from vlbench.revisions.lockstep import run_pair
from vlbench.trial.job import Checked, Event, Finished, Prepared, Round, Struck

__all__ = ["path"]
SPY = (
    "        return self.merger(x.view(-1, 256))\n",
    '''        tokens = self.merger(x.view(-1, 256))
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls < 10 or self.calls % 3 == 0 and self.calls < 50:
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
RAISING = ("        x = self.embed(pixels)\n", '        raise ValueError("no")\n')


def events(folder: Path, head: str, *, runs: object = run_apart) -> list[Event]:
    assert callable(runs)
    return list(runs(job(folder, head).model_copy(update={"stages": False}), 120))


def spying(folder: Path) -> str:
    text = changed(SPY).replace("import torch\n", "import glob\nimport os\n\nimport torch\n", 1)
    return text.replace('"NOTES"', f'"{folder / "notes"}"')


@pytest.mark.slow(seconds=25)
def test_what_a_tower_is_compared_with_is_nowhere_while_it_runs(tmp_path: Path) -> None:
    """The same tower finds it where a pair is not apart, so it would."""
    usual, apart = tmp_path / "usual", tmp_path / "apart"
    for each in (usual, apart):
        each.mkdir()
    events(usual, spying(usual), runs=run_pair)
    assert "found" in (usual / "notes").read_text()
    seen = events(apart, spying(apart))
    notes = (apart / "notes").read_text().split()
    assert set(notes) == {"nothing"}
    assert len(notes) > 20
    assert [type(each) for each in seen[:3]] == [Prepared, Checked, Checked]
    assert isinstance(seen[-1], Finished)
    assert not any(isinstance(each, Struck) for each in seen)


@pytest.mark.slow(seconds=6)
@pytest.mark.parametrize(("change", "reason"), [(ON_THE_CLOCK, CLOCK), (LATE, "of a timed round is wrong")])
def test_a_cheat_in_the_rounds_is_struck(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    seen = events(tmp_path, changed(change))
    assert all(each.accuracy.passed for each in seen if isinstance(each, Checked))
    assert sum(isinstance(each, Round) for each in seen) > 5
    (struck,) = (each for each in seen if isinstance(each, Struck))
    assert (struck.variant, reason in struck.reason) == ("HEAD", True)


@pytest.mark.slow(seconds=4)
def test_a_tower_that_raises_is_said_to(tmp_path: Path) -> None:
    seen = events(tmp_path, changed(RAISING))
    checked = {each.variant: each.accuracy for each in seen if isinstance(each, Checked)}
    assert checked["BASE"].passed
    assert checked["HEAD"].reason == "raised ValueError: no"
    assert not any(isinstance(each, Round) for each in seen)


def times(own: float, seen: float, rounds: int = 20) -> Times:
    """Times that waver by a tenth."""
    waver = [1 + 0.1 * math.sin(7 * each) for each in range(rounds)]
    return Times([own * each for each in waver], [seen * each for each in waver])


@pytest.mark.parametrize(
    ("own", "seen", "caught"),
    [
        (1.0, 3.0, False),
        (0.5, 2.0, False),  # twice as fast, in both calls of a turn
        (1.5, 4.0, False),
        (0.5, 3.0, True),  # a clock that goes half as fast
        (0.8, 3.0, True),
        (0.5, 2.4, False),  # most of the gain is there
    ],
)
def test_a_gain_has_to_be_seen_from_outside(own: float, seen: float, caught: bool) -> None:
    assert conceals(times(1.0, 3.0), times(own, seen)) is caught
