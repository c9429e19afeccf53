"""Starts a measuring process, hands its events on, and survives it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.trial.job import EVENTS, Event, Finished, Job, Refused, Starting


class TrialError(RuntimeError):
    """The measuring process ended before its work did; `variant` is the one it had started last."""

    def __init__(self, variant: str | None, reason: str) -> None:
        super().__init__(reason)
        self.variant = variant
        self.reason = reason


def run_trial(job: Job) -> Iterator[Event]:
    """The events of one trial, as they come. Raises UsageError for a job that is refused, TrialError for a crash."""
    with tempfile.TemporaryFile("w+") as complaints:
        worker = subprocess.Popen(
            [sys.executable, "-m", "vlbench.trial.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        variant, finished = None, False
        try:
            with suppress(BrokenPipeError):  # it died at birth; its exit code says more
                worker.stdin.write(job.model_dump_json())
                worker.stdin.close()
            for line in worker.stdout:
                event = _parse(line, variant)
                if isinstance(event, Refused):
                    raise UsageError(event.message)
                if isinstance(event, Starting):
                    variant = event.variant
                finished = finished or isinstance(event, Finished)
                yield event
        except BaseException:  # whoever watches has stopped listening, an interruption among them
            worker.kill()
            raise
        finally:
            worker.wait()
        if not finished or worker.returncode:
            complaints.seek(0)
            raise TrialError(variant, _reason(worker.returncode, complaints.read()))


def _parse(line: str, variant: str | None) -> Event:
    try:
        return EVENTS.validate_json(line)
    except ValidationError:
        raise TrialError(variant, f"the measuring process wrote {line[:60]!r} between its events") from None


def _reason(code: int, complaints: str) -> str:
    """Why it ended, in one line."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the measuring process was ended by {name}{hint}"
    last = complaints.strip().splitlines()[-1:] or ["no message"]
    return f"the measuring process ended with code {code}: {last[0]}"
