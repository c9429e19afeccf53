"""Anyone's program, run in the foreground: what it prints goes to stderr, and it ends before we do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any


def run_program(
    command: Sequence[str], variables: Mapping[str, str], moment: float, heard: list[str] | None = None
) -> int:
    """Its exit code, or 128 and the signal that ended it. With `heard`, each line that it prints is put there as well.

    What ends us early ends it first and all that it has started, by SIGTERM and after `moment` seconds by SIGKILL.
    Raises OSError where it cannot be started.
    """
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    if heard is None:
        pipes = {"stdout": sys.stderr.fileno()}
    with subprocess.Popen(command, env=os.environ | variables, start_new_session=True, **pipes) as process:
        try:
            for line in process.stdout or ():
                sys.stderr.write(line)
                heard.append(line)  # type: ignore[union-attr]
            process.wait()
        except BaseException:
            _end_session(process, moment)
            raise
    return 128 - process.returncode if process.returncode < 0 else process.returncode


def _end_session(process: subprocess.Popen[Any], moment: float) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        os.killpg(process.pid, signal.SIGKILL)
