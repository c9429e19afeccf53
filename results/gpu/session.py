"""Ten minutes on a machine with a GPU: `python -m results.gpu.session`. README.md beside it says what it brings home.

The most valuable comes first, each step has its own limit, and what there is is packed after each: a session that is
ended loses one step at most. Only what Python brings along is imported here; a step that lacks something says so.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
SECONDS = 570
"""For all steps: below ten minutes, a usual limit of rented machines."""
LONGEST = 24 * 3600
GRACE = 5.0
"""Seconds for a step to end in order, once it was told to: within its limit."""
PACKED, TABLE = "results.tgz", "steps.tsv"
HEAD = "step\texit code\tseconds\tlimit\twhat\n"


@dataclass(frozen=True)
class Step:
    """One command, which writes into the folder that it runs in."""

    name: str
    """What it prints is kept as NAME.txt, what it complains of as NAME.err."""
    seconds: int
    """About: it is not begun with less than that left."""
    command: str
    """Words after `python -m`, with what a `Mode` puts in."""
    limit: int = 0
    """Seconds after which it is ended; 0 for twice as long as it takes."""
    dry_limit: int = 150
    """The same in a dry session."""
    wants_gpu: bool = False
    result: str = ""
    """Where what it prints is a result: the file for it."""


@dataclass(frozen=True)
class Mode:
    """On what a session runs: what is put into commands, and into their environment."""

    words: dict[str, str]
    variables: dict[str, str]
    has_gpu: bool = True


GPU = Mode(
    {
        "on": "--device cuda --dtype bfloat16",
        "device": "cuda",
        "model": "qwen2.5-vl-7b",
        "few": "",
        "rows": "--with exact --with host-seqlens+batched-windows --with best --with best+graph-exact --with hf-sdpa",
    }
    | {"behind": "--state behind", "budget": "190", "patience": "220"},
    {},
)
DRY = Mode(
    {
        "on": "--device cpu --dtype float32",
        "device": "cpu",
        "model": "qwen2.5-vl-tiny",
        "few": "--with best",
        "rows": "--with best",
    }
    | {"behind": "", "budget": "12", "patience": "60"},
    {"CUDA_VISIBLE_DEVICES": ""},
    has_gpu=False,
)
"""The same commands with tiny shapes on a CPU: they are known to run before a GPU is paid for."""

STEPS = (
    Step("environment", 10, "results.gpu.environment", 60, result="environment.json"),
    Step("probe", 50, "results.gpu.probe probe.json", 150),
    Step(
        "calibration",
        90,
        "vlbench calibrate --tower qwen2.5-vl-7b --tower qwen2.5-vl-7b+best --tower hf:qwen2.5-vl-7b --grid 1x36x36"
        " --out calibration",
        wants_gpu=True,
    ),
    Step(
        "states",
        200,
        "vlbench run {on} --model {model} --scenario single-image {rows} --state warm"
        " --state cold --state churn {behind} --budget {budget} --timeout {patience} --out states.json",
        limit=230,
    ),
    Step(
        "trace",
        35,
        "vlbench profile {on} --model {model} --scenario single-image --variant best --tool torch --forwards 2"
        " --out trace",
    ),
    Step(
        "verify",
        110,
        "vlbench verify {on} --model qwen2.5-vl-tiny {few} --timeout {patience} --json",
        result="verify.json",
    ),
    Step("self-test", 75, "vlbench self-test --device {device} --quick --out self-test.json", limit=200, dry_limit=12),
)
"""Never the default matrix: rows with naive attention wait tens of thousands of times a call at 7B."""


class Session:
    """The time there is, and what was brought together so far."""

    def __init__(self, out: Path, work: Path, mode: Mode, seconds: float) -> None:
        """Files come together in `work`; the packed ones go to `out`."""
        self.out, self.work, self.mode = out, work, mode
        self._end = time.monotonic() + seconds
        self.codes: list[int] = []
        """How steps ended that should have run; 1 for one that was not begun."""

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def run(self, steps: Sequence[Step]) -> None:
        """One after the other, while there is time."""
        self._put(HEAD, "w")
        for step in steps:
            needs = step.seconds if self.mode.has_gpu else min(step.seconds, step.dry_limit)
            if step.wants_gpu and not self.mode.has_gpu:
                self._note(step, "skipped: needs a GPU")
            elif self.left < needs:
                self.codes.append(1)
                self._note(step, f"not begun: {self.left:.0f} s left, and it takes {needs}")
            else:
                self._measure(step)

    def _measure(self, step: Step) -> None:
        most = (step.limit or 2 * step.seconds) if self.mode.has_gpu else step.dry_limit
        limit, start = min(most, self.left), time.monotonic()
        code, what = 1, "interrupted"
        try:
            code, what = self._ran(step, limit)
        finally:
            self.codes.append(code)
            self._note(step, what, f"{code}", f"{time.monotonic() - start:.1f}", f"{limit:.0f}")

    def _ran(self, step: Step, limit: float) -> tuple[int, str]:
        """The exit code, and who ended it."""
        output = self.work / (step.result or f"{step.name}.txt")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with output.open("w") as said, (self.work / f"{step.name}.err").open("w") as complaints:
            process = subprocess.Popen(
                [sys.executable, "-m", *step.command.format(**self.mode.words).split()],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complaints,
                cwd=self.work,
                env=os.environ | self.mode.variables | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                process_group=0,
            )
        try:
            return process.wait(max(limit - GRACE, GRACE)), "ended"
        except subprocess.TimeoutExpired:
            process.terminate()  # our commands keep what they have, and end what they have started
            return _code_within(process, GRACE), "ended at its limit"
        except SystemExit:  # a signal: the step goes in order as well
            process.terminate()
            _code_within(process, GRACE)
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it left

    def _note(self, step: Step, what: str, code: str = "", seconds: str = "", limit: str = "") -> None:
        self._put("\t".join([step.name, code, seconds, limit, what]) + "\n", "a")
        print(f"{step.name}: {what}" + (f" with {code} after {seconds} s" if code else ""), flush=True)
        draft = self.out / f"{PACKED}.new"
        with tarfile.open(draft, "w:gz") as archive:
            archive.add(self.work, ".")
        draft.replace(self.out / PACKED)

    def _put(self, line: str, how: str) -> None:
        for folder in (self.work, self.out):
            with (folder / TABLE).open(how) as table:
                table.write(line)


def _code_within(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Its exit code; that of a process that was killed where it does not end by itself."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL


def _interrupted(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {LONGEST}")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the session. Ends with 1 where a step did not end with 0, or was not begun."""
    parser = argparse.ArgumentParser(prog="python -m results.gpu.session", description="Ten minutes with a GPU.")
    parser.add_argument("--out", type=Path, default=Path("gpu-session"), help=f"folder for {PACKED} and {TABLE}")
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, help="for all of it (%(default)s)")
    parser.add_argument("--dry", action="store_true", help="tiny shapes on a CPU, without what needs a GPU")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in STEPS], help="these steps alone")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {given.out}: {error.strerror}; give a folder")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    with tempfile.TemporaryDirectory() as work:
        session = Session(given.out, Path(work), DRY if given.dry else GPU, given.seconds)
        session.run([step for step in STEPS if not given.only or step.name in given.only])
    print(f"{given.out / PACKED}, {session.left:.0f} s of {given.seconds:.0f} left")
    return 1 if any(session.codes) else 0


if __name__ == "__main__":
    sys.exit(main())
