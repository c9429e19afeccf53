"""A process that works for this one: started, spoken to, watched, and never left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from vlbench.errors import UsageError
from vlbench.process.messages import Message, Refused, create_marker, read_marker
from vlbench.process.parent import MARKER

Event = TypeVar("Event", bound=Message)


class ChildError(RuntimeError):
    """A process ended before its work did."""

    def __init__(self, called: str | None, reason: str, *, late: bool = False) -> None:
        super().__init__(reason)
        self.called = called
        """What it was calling, by its marker."""
        self.reason = reason
        """One sentence."""
        self.late = late
        """Was it ended because its time was over?"""


class Child(Generic[Event]):
    """`python -P -m MODULE`, which ends in `vlbench.process.parent.serve`. Use it as a context: it ends there.

    It also ends when this process does, however that happens; on Linux with the thread that started it, so start it in
    the one that waits for it. `-P` keeps modules of the current folder from taking
    the place of installed ones.
    """

    def __init__(
        self,
        module: str,
        events: TypeAdapter[Event],
        timeout: float,
        *,
        folder: Path | None = None,
        own_folders: Sequence[str] = (),
        name: str = "",
    ) -> None:
        """Start it, in `folder` or here; it is ended after `timeout` seconds.

        `events` reads what it says. Each variable of `own_folders` names a folder that is its own. `name` is what an
        error says it was calling before it marks anything.
        """
        self.name, self._events, self._timeout = name, events, timeout
        self._late = False
        with ExitStack() as ends:
            own = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="vlbench-")))
            self._marker = own / "marker"
            create_marker(self._marker)
            self._complaints = ends.enter_context((own / "stderr").open("w+", errors="replace"))
            self._process = ends.enter_context(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", module],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    cwd=folder,
                    env=portable_environment()
                    | {MARKER: str(self._marker)}
                    | {variable: str(own / variable) for variable in own_folders},
                )
            )
            ends.callback(self._process.kill)
            deadline = threading.Timer(timeout, self._end_late)
            deadline.daemon = True
            deadline.start()
            ends.callback(deadline.cancel)
            self._ends = ends.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):  # something was still to be told
            self._ends.close()

    def tell(self, message: Message) -> None:
        """Hand over a message."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is heard next, with the reason
            self._process.stdin.write(message.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def hear(self) -> Event:
        """Wait for what it says next. Raises UsageError for a refusal, ChildError where it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):  # nothing, or a line that was cut off by its end
            raise self._ended()
        try:
            event = self._events.validate_json(line)
        except ValidationError:
            self._process.kill()
            raise ChildError(self._called(), f"it said what is no message: {line[:60]!r}") from None
        if isinstance(event, Refused):
            raise UsageError(event.message)
        return event

    def until(self, last: type[Message]) -> Iterator[Event]:
        """What it says, up to a message of the kind `last`, after which it has to end well. Raises as `hear` does."""
        finished = False
        while not finished:
            event = self.hear()
            yield event
            finished = isinstance(event, last)
        if self._process.wait():
            raise self._ended()

    def _called(self) -> str | None:
        return read_marker(self._marker) or self.name or None

    def _ended(self) -> ChildError:
        code = self._process.wait()
        self._complaints.seek(0)
        reason = exit_reason(code, self._complaints.read())
        if self._late:
            reason = f"no end after {self._timeout:.0f} s"
        return ChildError(self._called(), reason, late=self._late)

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()


def portable_environment() -> dict[str, str]:
    """This process's environment, with a PYTHONPATH that names the same folders from any folder."""
    path = os.environ.get("PYTHONPATH")
    if not path:
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))}


def exit_reason(code: int, complaints: str) -> str:
    """Why a process with this exit code, and this on its stderr, ended."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    last = complaints.strip().splitlines()[-1:] or ["no message"]
    return f"its process ended with code {code}: {last[0]}"
