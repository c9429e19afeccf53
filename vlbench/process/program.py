"""Anyone's program, which ends with all that it has started: in the foreground, where it prints to stderr, or not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

_WATCH = "import os, signal, sys; os.killpg(int(sys.stdin.read()), signal.SIGKILL)"
"""What a watcher does: the end of its stdin is the end of who started it, however that came."""


@contextmanager
def ending_with_us(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own: its group is ended with the context, or when this process is.

    `options` are those of `subprocess.Popen`. Raises OSError where it cannot be started.
    """
    watch = [sys.executable, "-I", "-S", "-c", _WATCH]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(watch, start_new_session=True, bufsize=0, **pipes) as watcher:
        try:
            with subprocess.Popen(command, start_new_session=True, **options) as process:
                try:
                    assert watcher.stdin is not None
                    watcher.stdin.write(str(process.pid).encode())
                    yield process
                finally:
                    with suppress(ProcessLookupError, PermissionError):  # nobody of it is there any more
                        os.killpg(process.pid, signal.SIGKILL)
        finally:
            watcher.kill()


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
