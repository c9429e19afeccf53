"""Both judges as their users run them, each in processes of its own: `vlbench gate`, and pytest-benchmark's comparison.

In one folder lie the copies; what is stored is stored of untouched ones, then each is given its regression.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tests.gating.regressions.copies import tower_of
from tests.trial.plans import python_path
from vlbench.judging.judged import JudgedRow

BENCHMARK = Path(__file__).with_name("bench_tower.py")
SCENARIO = "multi-image"
TRIALS = 5
FILES = ("image.json", "batch.json")
ROWS = TypeAdapter(tuple[JudgedRow, ...])


@dataclass(frozen=True)
class Benchmarked:
    """What pytest-benchmark said of a copy."""

    failed: bool
    """Its exit status was not 0, and it says that performance has regressed."""
    ratio: float
    """Of the medians, after / before."""


@dataclass(frozen=True)
class Judges:
    """Runs them in `folder`, over the towers of the copies in it."""

    folder: Path
    names: Sequence[str]

    def store(self, budget: float) -> None:
        """Baselines of all copies, and a saved run of pytest-benchmark. `budget` is in seconds, for all rounds."""
        deep = [option for name in self.names for option in ("--tower", tower_of(name, "deep"))]
        tiny = [option for name in self.names for option in ("--tower", tower_of(name))]
        saved = ("--reason", "Before the regressions.")
        self._vlbench("baseline", "save", FILES[0], *deep, "--grid", "1x36x36", *saved)
        self._vlbench(
            *("run", "--tower", "qwen2.5-vl-tiny", *tiny, "--scenario", SCENARIO, "--trials", str(TRIALS)),
            *("--budget", str(2 * budget), "--no-card", "--out", "run.json"),  # half of it would confirm suspects
        )
        grids = ("--grid", "1x32x32", "--grid", "3x12x20")
        self._vlbench("baseline", "save", FILES[1], *deep, *grids, "--results", "run.json", *saved)
        self._give_time(self.folder / FILES[1], budget)
        self._pytest(self.names[0], "--benchmark-save=before")

    def gate(self) -> tuple[JudgedRow, ...]:
        """The rows of one gate run over everything."""
        files = (option for file in FILES for option in ("--baseline", file))
        ended = self._vlbench("gate", *files, "--times", "require", "--json", may_fail=True)
        if not ended.stdout:
            raise RuntimeError(ended.stderr)
        return ROWS.validate_json(json.dumps(json.loads(ended.stdout)["rows"]))  # strict records: JSON has no tuples

    def benchmark(self, name: str) -> Benchmarked:
        """pytest-benchmark's run of a copy, against the saved one."""
        ended = self._pytest(
            name, "--benchmark-compare=0001", "--benchmark-compare-fail=median:5%", "--benchmark-json=now.json"
        )
        failed = ended.returncode != 0
        if failed and "Performance has regressed" not in ended.stdout + ended.stderr:
            raise RuntimeError(ended.stdout + ended.stderr)
        (saved,) = self.folder.glob(".benchmarks/*/0001_before.json")
        before, after = (_median(path) for path in (saved, self.folder / "now.json"))
        return Benchmarked(failed, after / before)

    def _give_time(self, path: Path, budget: float) -> None:
        """As many seconds of rounds for a gate run as the stored trials had: an edit by hand, which is accepted."""
        stored = json.loads(path.read_text())
        if stored["budget"] != budget:
            path.write_text(json.dumps(stored | {"budget": budget}))
            self._vlbench("baseline", "accept", path.name, "--reason", "As much time as was stored with.")

    def _vlbench(self, *arguments: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
        ended = self._run([sys.executable, "-m", "vlbench", *arguments])
        if ended.returncode and not may_fail:
            raise RuntimeError(f"vlbench {' '.join(arguments[:2])} ended with {ended.returncode}: {ended.stderr}")
        return ended

    def _pytest(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", str(BENCHMARK), "-p", "no:cacheprovider", "-p", "no:xdist"]
        return self._run([*command, *options], BENCHED=name)

    def _run(self, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PYTHONPATH": python_path()} | environment
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)


def _median(path: Path) -> float:
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    return float(benchmark["stats"]["median"])
