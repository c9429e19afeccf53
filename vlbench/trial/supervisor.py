"""Starts a measuring process, hands its events on, and survives it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.process import marker
from vlbench.process.exit_reason import ending
from vlbench.trial.job import EVENTS, Event, Finished, Job, Refused


class TrialError(RuntimeError):
    """The measuring process ended before its work did; `variant` is the one it was calling."""

    def __init__(self, variant: str | None, reason: str) -> None:
        super().__init__(reason)
        self.variant = variant
        self.reason = reason


def run_trial(job: Job, timeout: float) -> Iterator[Event]:
    """The events of one trial, as they come; the process is ended after `timeout` seconds.

    What is compiled is compiled anew: a cache on disk would make the first call look cheap in every trial but one.
    Raises UsageError for a job that is refused, TrialError for a process that crashed, hung or ran out of memory.
    """
    with tempfile.TemporaryDirectory(prefix="vlbench-") as folder:
        mark = Path(folder) / "marker"
        marker.create(mark)
        with (Path(folder) / "stderr").open("w+", errors="replace") as complaints:
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "vlbench.trial.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "compiled")},
            )
            timer = _Deadline(worker, timeout)
            finished = False
            try:
                for event in _events(worker, job.model_copy(update={"marker": mark})):
                    finished = finished or isinstance(event, Finished)
                    yield event
            except BaseException:  # whoever watches has stopped listening, an interruption among them
                worker.kill()
                raise
            finally:
                timer.cancel()
                worker.wait()
            if not finished or worker.returncode:
                complaints.seek(0)
                late = f"no end after {timeout:.0f} s" if timer.passed else None
                reason = late or ending(worker.returncode, complaints.read())
                raise TrialError(marker.read(mark), reason)


class _Deadline(threading.Timer):
    """Ends the worker when its time is over."""

    def __init__(self, worker: subprocess.Popen[str], seconds: float) -> None:
        super().__init__(seconds, self._end)
        self.worker = worker
        self.passed = False
        self.daemon = True
        self.start()

    def _end(self) -> None:
        self.passed = True
        self.worker.kill()


def _events(worker: subprocess.Popen[str], job: Job) -> Iterator[Event]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    with suppress(BrokenPipeError):  # it died at birth; its exit code says more
        worker.stdin.write(job.model_dump_json())
        worker.stdin.close()
    for line in worker.stdout:
        try:
            event = EVENTS.validate_json(line)
        except ValidationError:
            worker.kill()  # cut off by its end, or somebody wrote between the events
            return
        if isinstance(event, Refused):
            raise UsageError(event.message)
        yield event
