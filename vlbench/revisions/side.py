"""One side of a lock-step pair, as its parent sees it: a process to tell and to hear, which may end at any time."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from vlbench.errors import UsageError
from vlbench.process.environment import environment_elsewhere
from vlbench.process.exit_reason import ending
from vlbench.revisions.messages import SAID, Said
from vlbench.towers.from_folder import placed
from vlbench.trial.job import Job, Refused, VariantJob
from vlbench.trial.supervisor import TrialError

One = TypeVar("One", bound=BaseModel)
Other = TypeVar("Other", bound=BaseModel)


class Side:
    """A process that works in the folder of its own revision. Use it as a context: it ends there, whatever happens."""

    def __init__(self, variant: VariantJob, job: Job, exchange: Path) -> None:
        """Starts the process, which is to measure `variant` of `job`."""
        assert variant.tower is not None  # a revision's tower is named by its folder
        self.name = variant.name
        self.job = job.model_copy(update={"model": variant.tower, "variants": (variant,)})
        self._late: str | None = None
        self._complaints = (exchange / f"{self.name}.stderr").open("w+", errors="replace")
        at = placed(variant.tower)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vlbench.revisions.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            cwd=at.folder if at else None,
            env=environment_elsewhere() | {"TORCHINDUCTOR_CACHE_DIR": str(exchange / f"{self.name}.compiled")},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def end_after(self, seconds: float) -> threading.Timer:
        """Ends the process after `seconds`, unless what this gives is cancelled before."""

        def end() -> None:
            self._late = f"no end after {seconds:.0f} s"
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        return timer

    def tell(self, what: BaseModel) -> None:
        """Hand over an order or a turn."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is heard next, with the reason
            self._process.stdin.write(what.model_dump_json() + "\n")
            self._process.stdin.flush()

    def expect(self, kind: type[One], other: type[Other] | None = None) -> One | Other:
        """Wait for what is said next, of one of these kinds. Raises UsageError for a refusal, TrialError for an end."""
        said = self._hear()
        if isinstance(said, Refused):
            raise UsageError(said.message)
        if isinstance(said, kind) or (other and isinstance(said, other)):
            return said
        raise TrialError(self.name, f"it said {said.event!r} out of turn")

    def _hear(self) -> Said:
        assert self._process.stdout is not None
        with suppress(ValidationError):  # cut off by its end
            if line := self._process.stdout.readline():
                return SAID.validate_json(line)
        self._process.kill()
        code = self._process.wait()
        self._complaints.seek(0)
        raise TrialError(self.name, self._late or ending(code, self._complaints.read()))
