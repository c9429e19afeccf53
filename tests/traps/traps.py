"""What a trap is: a way to get a bad change past vlbench, the command that has to notice, and how that must end.

A trap is one entry in a file of `listed`: `tower_edit(...)` for an edit of the toy tower, or a short function below
`@trap(...)` for anything else. The test runs it, and docs/traps.md shows it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.repositories import written_by
from tests.traps.toy import LIMITS, TOWER
from tests.trial.plans import MISBEHAVING

ROOT = Path(__file__).parents[2]
KINDS = {
    "tower": "A tower that is edited",
    "pytest": "Tests that do not test",
    "baseline": "What is judged, changed by who is judged",
    "file": "Files that say too much",
}
"""With their headings."""
FILES = ("tower_waits", "tower_results", "tower_ends", "tower_timed", "pytest_ways", "baseline_ways", "file_ways")
"""In `listed`, in the order of the page."""
BASELINE = Path("results/baselines/tower-tower.json")
PROGRAMS = {
    "vlbench": [sys.executable, "-P", "-m", "vlbench"],  # as the installed script, which does not look into the folder
    "python": [sys.executable],
    "pytest": [sys.executable, "-m", "pytest"],
}
LIMIT = 300
"""Seconds that a command may take, else it is killed."""
KILLED = -9
"""The status of a command that a signal ended: a shell shows 137."""


@dataclass(frozen=True)
class Trap:
    """One way, and what has to come of it."""

    kind: str
    title: str
    exit: int
    """What the command ends with. Of what cannot be caught: what it ends with all the same."""
    spring: Callable[[Copy], subprocess.CompletedProcess[str]]
    """Lays the trap in a copy of the toy repository, and runs the command that has to notice."""
    says: str = ""
    """Part of what the command prints then, so that it ends so for this reason and no other."""
    command: str = "vlbench gate"
    """As the page shows it."""
    cannot: str = ""
    """Why it cannot be caught, where it cannot."""
    pending: str = ""
    """What it ends with today, where that is not yet right."""
    quick: bool = False
    """Is it run in the default suite, too?"""


TRAPS: list[Trap] = []
Spring = Callable[["Copy"], subprocess.CompletedProcess[str]]


def trap(kind: str, title: str, exit: int, says: str = "", **fields: Any) -> Callable[[Spring], Spring]:
    """Lists a function that lays a trap and runs what has to notice."""

    def listed(spring: Spring) -> Spring:
        TRAPS.append(Trap(kind, title, exit, spring, says, **fields))
        return spring

    return listed


def tower_edit(
    title: str,
    exit: int,
    says: str = "",
    *,
    env: Mapping[str, str | None] | None = None,
    cannot: str = "",
    pending: str = "",
    quick: bool = False,
    **edits: str,
) -> None:
    """Lists an edit of the toy tower: each of `edits` is code for the mark of that name, upper-case in the source."""

    def spring(copy: Copy) -> subprocess.CompletedProcess[str]:
        for mark, code in edits.items():
            copy.at_mark(mark.upper(), code)
        return copy.run("vlbench gate", env)

    TRAPS.append(Trap("tower", title, exit, spring, says, cannot=cannot, pending=pending, quick=quick))


def load() -> list[Trap]:
    """Every trap, in the order of the files and of their entries."""
    if not TRAPS:
        for name in FILES:
            import_module(f"tests.traps.listed.{name}")
    return TRAPS


@dataclass
class Copy:
    """A copy of the toy repository, on a branch of its own."""

    folder: Path
    base: Path
    """The repository that it is a copy of."""

    def at_mark(self, mark: str, code: str, file: str = "tower.py") -> None:
        """Put code in the place of the line that ends with `# MARK`, at its indentation; a comment alone is a place."""
        path = self.folder / file
        lines = path.read_text().splitlines()
        (number,) = (number for number, line in enumerate(lines) if line.endswith(f"# {mark}"))
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        lines[number : number + 1] = [f"{indent}{line}" if line else "" for line in code.strip("\n").splitlines()]
        path.write_text("\n".join(lines) + "\n")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace what is there exactly once."""
        text = (self.folder / file).read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} times, not once: {old}"
        (self.folder / file).write_text(text.replace(old, new))

    def write(self, file: str, text: str) -> Path:
        """A file in the copy."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit_json(self, file: str | Path, edit: Callable[[Any], object]) -> None:
        """Let `edit` change what a JSON file holds."""
        content = json.loads((self.folder / file).read_text())
        edit(content)
        (self.folder / file).write_text(json.dumps(content, indent=1) + "\n")

    def regress(self) -> None:
        """A wait in every layer, which no trap may hide."""
        self.at_mark("LAYER", "grid_thw.to(x.device).tolist()")

    def commit(self) -> None:
        """Everything, as who is judged would."""
        self.done("git add --all")
        self.done("git commit --quiet --allow-empty --message change")

    def run(self, command: str, env: Mapping[str, str | None] | None = None) -> subprocess.CompletedProcess[str]:
        """A command as from the shell, with its end; stdout and stderr are one."""
        running = self.begin(command, env)
        try:
            said, _ = running.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            running.kill()
            said, _ = running.communicate()
        return subprocess.CompletedProcess(command, running.returncode, said)

    def begin(self, command: str, env: Mapping[str, str | None] | None = None) -> subprocess.Popen[str]:
        """The same while it runs."""
        words = shlex.split(command)
        given = {**environment(patient=words[:2] == ["vlbench", "run"]), **(env or {})}
        words[:1] = PROGRAMS.get(words[0], words[:1])
        variables = {name: value for name, value in given.items() if value is not None}
        return subprocess.Popen(
            words, cwd=self.folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def done(self, command: str) -> str:
        """What a command prints that has to succeed."""
        ended = self.run(command)
        assert ended.returncode == 0, f"{command}: {ended.stdout}"
        return ended.stdout

    def once(self, name: str, make: Callable[[Copy], Path]) -> bytes:
        """A file that takes long to make: made in a copy of its own, for all traps together."""
        kept = self.base.parent / f"kept-{name}"
        if not kept.exists():
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(make(copy_of(self.base, Path(folder) / "copy")), kept)
        return kept.read_bytes()


def environment(patient: bool) -> dict[str, str | None]:
    """That of every command: this vlbench, nobody's git settings, and words that do not break.

    A budget bounds the rounds alone of what is patient, however busy the machine is.
    """
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        **written_by("A Dev"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{MISBEHAVING}" if patient else str(ROOT),
        "COLUMNS": "400",
        "NO_COLOR": "1",
    }


def make_base(folder: Path) -> Copy:
    """The toy repository under the gate: branch main holds tower, baseline and test, branch change is checked out."""
    folder.mkdir(parents=True)
    base = Copy(folder, folder)
    base.write("tower.py", TOWER)
    base.write("tests/test_limits.py", LIMITS)
    base.write(".gitignore", "__pycache__\n.pytest_cache\n*.proposed.json\n")
    for command in (
        "git init --quiet --initial-branch main",
        'vlbench gate init tower:tower --grid 1x4x4 --grid 4x4x6 --as sm_90 --reason "First counts."',
        "git add --all",
        "git commit --quiet --message first",
        "git checkout --quiet -b change",
    ):
        base.done(command)
    return base


def copy_of(base: Path, folder: Path) -> Copy:
    """A copy to lay a trap in."""
    shutil.copytree(base, folder, symlinks=True)
    return Copy(folder, base)
