"""The other side of `vlbench.process.child`: what a process of ours hears from its parent and says to it.

One JSON object is a line, and nothing else comes between.
"""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn, TypeVar

from vlbench.errors import UsageError
from vlbench.process.messages import Marker, Message, Refused

MARKER = "VLBENCH_CHILD_MARKER"
"""The variable in which a child finds its marker. Without it, somebody started the module by hand, with a file."""

Kind = TypeVar("Kind", bound=Message)
_end = os._exit
"""As it is before any tower is imported, which may put something else in its place."""


class Parent:
    """Takes stdin and stdout for itself. Whatever a tower prints from now on goes to stderr."""

    def __init__(self) -> None:
        self._channel = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        path = os.environ.pop(MARKER, None)  # a process of this one's own has its own
        self.mark: Callable[[str], None] = Marker(Path(path)) if path else lambda name: None
        """Say what is being called: readable from outside whatever becomes of this process."""
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._ends_with_parent = path is not None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Read all the time: the end of what is to be read is the end of the parent, and of this process with it."""
        with os.fdopen(os.dup(0), "rb") as heard:
            for line in heard:
                self._lines.put(line)
        if self._ends_with_parent:
            os.kill(os.getpid(), signal.SIGKILL)
        self._lines.put(b"")

    def end_at(self, until: float) -> None:
        """End this process at `until`, by `time.monotonic()`, even if it hangs in code that is not Python's.

        The system's own alarm does that, by its usual action. It is for whom no parent ends in time.
        """
        if math.isfinite(until):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, until - time.monotonic()))

    def hear(self, kind: type[Kind]) -> Iterator[Kind]:
        """What the parent says, each time it says something, until it stops."""
        while line := self._lines.get():
            yield kind.model_validate_json(line)

    def say(self, message: Message) -> None:
        """Tell the parent."""
        self._channel.write(message.model_dump_json() + "\n")


def serve(
    work: Callable[[Parent], None],
    refusals: tuple[type[Exception], ...] = (UsageError,),
    tool_attached: Callable[[], bool] = lambda: False,
) -> NoReturn:
    """Do the work, say so where it is refused, and end the process.

    torch takes a second to be taken apart, in which others wait. A tool that listens (Nsight Systems, say) gets that
    second, for it writes what it has at the end.
    """
    parent = Parent()
    try:
        work(parent)
    except refusals as error:
        parent.say(Refused(message=str(error)))
    if tool_attached():
        sys.exit(0)
    sys.stdout.flush()
    sys.stderr.flush()
    _end(0)
