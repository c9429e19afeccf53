"""What scripts share that run a judging command again and again to learn how often it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import typer

from vlbench.errors import UsageError
from vlbench.judging.judged import Judged


def judged_by(command: Sequence[str], folder: Path | None = None, env: Mapping[str, str] | None = None) -> Judged:
    """What a command with `--json` found. Raises RuntimeError where it does not end with a verdict."""
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode} and no report")
    whole = json.loads(done.stdout)
    return Judged.model_validate({name: whole[name] for name in Judged.model_fields})


def check_folder_of(out: Path) -> None:
    """Raises UsageError where `--out` could not be written, before anything is measured."""
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: the folder {out.parent} does not exist; make it or choose another")


def run_script(measure: Callable[..., None]) -> None:
    """Run `measure` as a command line: wrong input is one sentence and exit code 2."""
    try:
        typer.run(measure)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
