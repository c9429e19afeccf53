"""A process that works for this one: started, spoken to, watched, and never left behind."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from vlbench.errors import UsageError
from vlbench.process.interpreter import Interpreter, other_code
from vlbench.process.left_behind import end_left_behind
from vlbench.process.messages import Message, Refused, Running, create_marker, read_marker
from vlbench.process.parent import MARKER
from vlbench.process.scratch import FOLDER, Scratch
from vlbench.process.start import ASKED, PARENT
from vlbench.untrusted.limits import Limit

LOOK = 0.25
"""Seconds between two looks at what is being called."""
ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE"}
"""By default threads of OpenMP spin while they wait. Where others want the cores, too, that takes most of the time: 15
calls of a tower of 100 M parameters took 82 s with two threads on two busy cores, asleep 8 s (AMD EPYC)."""
NO_HELPERS = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""torch.compile then compiles in the process itself, and leaves no others behind that wait for more."""

Event = TypeVar("Event", bound=Message)


class ChildError(RuntimeError):
    """A process ended before its work did."""

    def __init__(self, called: str | None, reason: str, *, late: bool = False, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.called = called
        """What it was calling, by its marker."""
        self.reason = reason
        """One sentence."""
        self.late = late
        """Did its time end, rather than any call of it fail?"""
        self.seconds = seconds
        """How long that call had gone on, where its time ended."""


class Child(Generic[Event]):
    """`python -P -m MODULE`, which ends in `vlbench.process.parent.serve`. Use it as a context: it ends there.

    It also ends when this process does, however that happens; on Linux already when the thread ends that started it,
    so start it in the thread that waits for it. What lies in a `Scratch` of its own is removed with it, however it
    ends. `-P` keeps modules of the current folder from taking the place of installed ones.
    """

    def __init__(
        self,
        module: str,
        events: TypeAdapter[Event],
        timeout: float,
        *,
        call_limit: float = math.inf,
        folder: Path | None = None,
        own_folders: Sequence[str] = (),
        name: str = "",
        is_timed: bool = True,
        own_session: bool = False,
        python: Interpreter | None = None,
    ) -> None:
        """Start it, in `folder` or here, by `python` or by this one; it is ended after `timeout` seconds.

        It is also ended `call_limit` seconds after it marked something and nothing since: that call is to blame.
        `events` reads what it says. Each variable of `own_folders` names a folder that is its own. `name` is what an
        error says it was calling before it marks anything. Threads of one that is not timed sleep while they wait.
        What one with a session of its own leaves behind can be found.
        """
        self.name, self._events, self._python = name, events, python
        self._is_known = python is None
        """Is the vlbench that it runs known to be this one?"""
        self._timeout, self._call_limit = timeout, call_limit
        self._over = threading.Event()
        self._why = ""
        """Why it was ended from here."""
        with ExitStack() as ends:
            own = Path(ends.enter_context(Scratch()))
            self._marker = ends.enter_context(create_marker(own / "marker"))
            self._complaints = ends.enter_context((own / "stderr").open("w+", errors="replace"))
            self._process = ends.enter_context(
                subprocess.Popen(
                    [str(python.path) if python else sys.executable, "-P", "-m", "vlbench.process.start", module],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    cwd=folder,
                    start_new_session=own_session,
                    env=(python.within(portable_environment()) if python else portable_environment())
                    | {MARKER: str(own / "marker"), PARENT: str(os.getpid()), FOLDER: str(own)}
                    | ({ASKED: "1"} if python else {})
                    | ({} if is_timed else ASLEEP)
                    | (NO_HELPERS if own_session else {})
                    | {variable: str(own / variable) for variable in own_folders},
                )
            )
            ends.callback(self._process.kill)
            _LIVING.add(self._process)
            ends.callback(_LIVING.discard, self._process)
            watching = threading.Thread(target=self._watch, args=(time.monotonic() + timeout,), daemon=True)
            watching.start()
            ends.callback(watching.join)
            ends.callback(self._over.set)
            self._ends = ends.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):  # something was still to be told
            self._ends.close()

    def kill(self) -> None:
        """End it now, from any thread; whoever hears it is told."""
        self._why = self._why or "it was given up"
        self._process.kill()

    def tell(self, message: Message) -> None:
        """Hand over a message."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is heard next, with the reason
            self._process.stdin.write(message.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def hear(self) -> Event:
        """Wait for what it says next. Raises UsageError for a refusal, ChildError where it has ended."""
        if not self._is_known:
            self._check_code()
        line = self._line()
        try:
            event = self._events.validate_json(line)
        except ValidationError:
            self._process.kill()
            raise ChildError(self._called(), f"it said what is no message: {line[:60]!r}") from None
        if isinstance(event, Refused):
            raise self._refusal(event.message)
        return event

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):  # nothing, or a line that was cut off by its end
            raise self._ended()
        return line

    def _check_code(self) -> None:
        """Raises UsageError where another Python runs another vlbench, or anything else.

        Each process is asked: one may be led astray.
        """
        line = self._line()
        try:
            code = Running.model_validate_json(line).code
        except ValidationError:
            said = line[:60].decode(errors="replace").strip()
            told = f"it was asked which vlbench it runs, and said {said!r}"
            remedy = "name an interpreter that runs what it is given, and prints nothing of its own"
            raise self._refusal(f"{told}; {remedy}") from None
        if wrong := other_code(code):
            raise self._refusal(wrong)
        self._is_known = True

    def _refusal(self, told: str) -> UsageError:
        return UsageError(f"{self._python.path}: {told}" if self._python else told)

    @property
    def pid(self) -> int:
        """By which the system knows it."""
        return self._process.pid

    def stop(self) -> None:
        """None of its threads runs before `go_on`. It ends with this process all the same."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It runs."""
        self._process.send_signal(signal.SIGCONT)

    def end_left_behind(self, strangers: Collection[int]) -> int:
        """End what it has started, while it is stopped; how many there were. It needs a session of its own.

        `strangers` are processes that were there before it, which are not looked at.
        """
        return end_left_behind(self.pid, {*strangers, *_living()} - {self.pid})

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
        marked = read_marker(self._marker)
        return (marked.name if marked else self.name) or None

    def _ended(self) -> ChildError:
        code = self._process.wait()
        self._complaints.seek(0)
        late = code == -signal.SIGALRM or self._why == self._too_long
        reason = self._too_long if late else self._why or exit_reason(code, self._complaints.read())
        marked = read_marker(self._marker)
        seconds = time.monotonic() - marked.since if marked and late else 0.0
        return ChildError(self._called(), reason, late=late, seconds=seconds)

    @property
    def _too_long(self) -> str:
        return f"no end after {self._timeout:.0f} s"

    def _watch(self, until: float) -> None:
        """End it where its time is over, or that of one call."""
        while (left := until - time.monotonic()) > 0:
            marked = read_marker(self._marker) if math.isfinite(self._call_limit) else None
            if marked and time.monotonic() - marked.since > self._call_limit:
                self._why = f"one call did not end within {self._call_limit:.0f} s"
                break
            if self._over.wait(min(left, LOOK if math.isfinite(self._call_limit) else left)):
                return
        self._why = self._why or self._too_long
        self._process.kill()


_LIVING: set[subprocess.Popen[bytes]] = set()
MOMENT = 1.0
"""Seconds in which what an ended process has started may notice that, and end as well."""


def _living() -> set[int]:
    return {each.pid for each in list(_LIVING)}


def end_left_by_ended(strangers: Collection[int]) -> int:
    """End what processes of ours with sessions of their own, which have ended, have left behind; how many there were.

    As `Child.end_left_behind`, but for those that end within a moment.
    """
    return end_left_behind(None, {*strangers, *_living()}, MOMENT)


@contextmanager
def waiting_threads(most: int | None) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for processes of ours; where the context ends early, by Ctrl-C for one, these end as well."""
    pool = ThreadPoolExecutor(most)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        ending = threading.Thread(target=pool.shutdown)
        ending.start()
        while ending.is_alive():
            for process in list(_LIVING):  # and those that were about to be started
                process.kill()
            ending.join(LOOK / 10)
        raise
    pool.shutdown()


def portable_environment() -> dict[str, str]:
    """This process's environment, with a PYTHONPATH that names the same folders from any folder."""
    if not (path := os.environ.get("PYTHONPATH")):
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))}


def exit_reason(code: int, complaints: str) -> str:
    """Why a process with this exit code, and this on its stderr, ended."""
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        name = known.get(-code, f"signal {-code}")  # those of real time have no names
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    last = complaints.strip().splitlines()[-1:] or ["no message"]
    return f"its process ended with code {code}: {last[0][: Limit.LINE.most]}"
