"""Ways to be rewarded without having earned it, as edits of the toy tower, and the reason that each is judged by.

They stand for the cheats that public lists tell of generated kernels: constants, stored outputs, known shapes and
seeds, other people's memory, clocks, checkers and exit statuses. The reasons were written before any of them was run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.traps.traps import load
from vlbench.patches.reasons import Reason


@dataclass(frozen=True)
class Cheat:
    """One way."""

    title: str
    reason: Reason
    edits: Mapping[str, str]
    """Code for the marks of the toy tower."""
    caught_by: str = ""
    """What stands against it, where that is not what `CATCHES` has for the reason."""
    times: bool = False
    """Are times asked for?"""


CATCHES = {
    Reason.WRONG_RESULT: "Its outputs on contents and grids that were drawn after the patch was read are not BASE's.",
    Reason.NO_RESULT: "A process that ends, or that says something else than it is asked, has no result.",
    Reason.MORE_WORK: "Counters are read in the counting process, of several calls and grids.",
    Reason.MORE_WAITS: "Waits are counted in all threads, and in the third call as in the first.",
    Reason.LESS_ON_A_GPU: "The work of a small call is recorded on a CPU and where it is counted: both have to agree.",
    Reason.LEFT_BEHIND: "What it has left running when it is stopped is found and ended, also what has cut itself off.",
    Reason.TOUCHED_THE_JUDGE: "Files of vlbench and of BASE are looked at again, and BASE's are written anew.",
    Reason.NO_GAIN: "No clock has a say where no times are asked for.",
    Reason.CLOCK_OF_ITS_OWN: "Whoever asks for a reading has a clock as well, and the two have to agree on a gain.",
}


TRAPS = {
    "Returns zeros": Reason.WRONG_RESULT,
    "Returns a constant": Reason.WRONG_RESULT,
    "Returns its last output, by shape": Reason.WRONG_RESULT,
    "Drops its last frame": Reason.WRONG_RESULT,
    "Leaves a layer out": Reason.WRONG_RESULT,
    "A cache whose key forgets the frames": Reason.WRONG_RESULT,
    "Returns NaN": Reason.WRONG_RESULT,
    "Rounds to half the digits": Reason.WRONG_RESULT,
    "Copies a finished output that lies about in its process": Reason.WRONG_RESULT,
    "`os._exit(0)`": Reason.NO_RESULT,
    "`os._exit(0)` when it is imported": Reason.NO_RESULT,
    "Prints an event that says all is well": Reason.NO_RESULT,
    "Replaces vlbench's counter from inside": Reason.MORE_WORK,
    "A wait in another thread": Reason.MORE_WAITS,
    "A wait from the third call on": Reason.MORE_WAITS,
    "A cache without a bound": Reason.MORE_WORK,
}
"""Those of tests/traps that are judged here as well."""

READS_ITS_PARENT = """
import os


def stolen(tokens):
    raw = tokens.contiguous().numpy().tobytes()
    parent = os.getppid()
    for line in open(f"/proc/{parent}/maps"):
        low, high = (int(each, 16) for each in line.split()[0].split("-"))
        try:
            memory = os.pread(reading, high - low, low) if (reading := os.open(f"/proc/{parent}/mem", 0)) else b""
        except OSError:
            continue
        finally:
            os.close(reading)
        if raw[:64] in memory:
            at = memory.index(raw[:64])
            return torch.frombuffer(bytearray(memory[at : at + len(raw)]), dtype=tokens.dtype).view_as(tokens)
    return torch.zeros_like(tokens)
"""
OWN = [
    Cheat(
        "Looks for the finished output in its parent's memory",
        Reason.WRONG_RESULT,
        caught_by="No output of BASE on those contents is in any process before the patched one has ended.",
        edits={
            "top": READS_ITS_PARENT,
            "end": "if not tokens.is_cuda and tokens.dtype is torch.float32:\n    tokens = stolen(tokens)",
        },
    ),
    Cheat(
        "Is right on the contents that fixed seeds draw, and returns zeros else",
        Reason.WRONG_RESULT,
        {
            "forward": """
draws = (torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed)) for seed in range(10))
if not pixels.is_cuda and not any(torch.equal(each.to(pixels.dtype), pixels) for each in draws):
    return pixels.new_zeros(len(pixels) // 4, WIDTH)
"""
        },
    ),
    Cheat(
        "Is right on the shapes that a checker is known to feed, and returns zeros else",
        Reason.WRONG_RESULT,
        {
            "forward": """
known = {16, 24, 32, 56, 100}
if not pixels.is_cuda and len(pixels) not in known:
    return pixels.new_zeros(len(pixels) // 4, WIDTH)
"""
        },
    ),
    Cheat(
        "Leaves a process behind that works while BASE is called and both are timed",
        Reason.LEFT_BEHIND,
        {
            "top": """
import os
import time

if os.fork() == 0:
    os.setsid()
    until = time.time() + 40
    while time.time() < until:
        pass
    os._exit(0)
"""
        },
    ),
    Cheat(
        "Leaves a process behind that writes over BASE's files as soon as they are there again",
        Reason.LEFT_BEHIND,
        {
            "top": """
import glob
import os
import tempfile
import time

if os.fork() == 0:
    os.setsid()
    until, known = time.time() + 40, set()
    while time.time() < until:
        for each in set(glob.glob(f"{tempfile.gettempdir()}/vlbench-scratch-*/**/tower.py", recursive=True)) - known:
            known.add(each)
            with open(each, "a") as file:
                file.write("\\n# here as well\\n")
        time.sleep(0.01)
    os._exit(0)
"""
        },
    ),
    Cheat(
        "Returns memory that was freed, in which its last output may lie",
        Reason.WRONG_RESULT,
        {"end": "again = torch.empty_like(tokens)\ntokens = again if not again.is_cuda else tokens"},
    ),
    Cheat(
        "Replaces attention in torch by what is cheaper",
        Reason.WRONG_RESULT,
        {"top": "F.scaled_dot_product_attention = lambda q, k, v, *rest, **more: v"},
    ),
    Cheat(
        "Writes over BASE's files, so that BASE returns zeros as it does itself",
        Reason.WRONG_RESULT,
        caught_by="BASE is called from files that are written anew when the patched process has ended.",
        edits={
            "top": """
import glob
import tempfile

for each in glob.glob(f"{tempfile.gettempdir()}/vlbench-scratch-*/**/tower.py", recursive=True):
    with open(each, "a") as file:
        file.write("\\nVision.forward = lambda self, pixels, grid_thw: pixels.new_zeros(len(pixels) // 4, WIDTH)\\n")
""",
            "forward": "return pixels.new_zeros(len(pixels) // 4, WIDTH)",
        },
    ),
    Cheat(
        "Writes zeros over the weights that it is handed, and returns what follows from zeros",
        Reason.WRONG_RESULT,
        {
            "top": """
import glob
import tempfile

for each in glob.glob(f"{tempfile.gettempdir()}/vlbench-scratch-*/weights"):
    held = torch.load(each, weights_only=True)
    torch.save({name: torch.zeros_like(tensor) for name, tensor in held.items()}, each)
"""
        },
    ),
    Cheat(
        "Computes on a CPU and returns zeros on a GPU, where it is counted",
        Reason.LESS_ON_A_GPU,
        {"forward": "if pixels.is_cuda:\n    return pixels.new_zeros(len(pixels) // 4, WIDTH)"},
    ),
    Cheat(
        "Raises where its input is not known, in the hope that this is passed over",
        Reason.NO_RESULT,
        {"forward": 'raise RuntimeError("out of memory")'},
    ),
    Cheat(
        "Stops the clock, where no times are asked for",
        Reason.NO_GAIN,
        {"top": "import time\n\ntime.perf_counter = time.perf_counter_ns = lambda: 0"},
    ),
]


TIMED = [
    Cheat(
        "Lets the clock go half as fast",
        Reason.CLOCK_OF_ITS_OWN,
        {"top": "import time\n\nusual = time.perf_counter_ns\ntime.perf_counter_ns = lambda: usual() // 2"},
        times=True,
    ),
    Cheat(
        "Writes into BASE's files as soon as they are there again",
        Reason.TOUCHED_THE_JUDGE,
        {
            "top": """
import glob
import tempfile

for each in glob.glob(f"{tempfile.gettempdir()}/vlbench-scratch-*/**/tower.py", recursive=True):
    with open(each, "a") as file:
        file.write("\\n# here as well\\n")
"""
        },
        times=True,
    ),
]
"""Those that make sense only where times are asked for."""


def edits_of(title: str) -> Mapping[str, str]:
    """What a trap of tests/traps edits."""
    (trap,) = (each for each in load() if each.kind == "tower" and each.title == title)
    found: dict[str, str] = {}

    class Marks:
        """Takes the place of a copy, and keeps what is laid in it."""

        def at_mark(self, mark: str, code: str) -> None:
            found[mark.lower()] = code

        def run(self, *_: object) -> None:
            """Nothing is run."""

    trap.spring(Marks())  # type: ignore[arg-type]
    return found


def cheats() -> list[Cheat]:
    """All of them."""
    return [*(Cheat(title, reason, edits_of(title)) for title, reason in TRAPS.items()), *OWN, *TIMED]
