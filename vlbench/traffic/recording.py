"""`vlbench.recording`: calls of a vision tower of any program, written down while it serves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from inspect import Parameter, signature
from os import PathLike
from pathlib import Path
from threading import local
from typing import Any, TypeVar

from vlbench.errors import UsageError
from vlbench.traffic.recorder import Recorder

T = TypeVar("T", bound=Callable[..., Any])
Queue = Callable[[], int | None]
GRIDS = "grid_thw"
"""The argument that is written down; the pixels, whose dtype is, come first."""
MOST_MB = 256


class _Calls(local):
    """Of a thread: is it in a call already?"""

    inside = False


_CALLS = _Calls()


class Recording:
    """A file that is being written. Called with grids it writes down a call; `wrap` does that for a tower."""

    def __init__(self, recorder: Recorder, queue: Queue | None, ends: ExitStack) -> None:
        self._recorder, self._queue, self._ends = recorder, queue, ends

    @property
    def path(self) -> Path:
        """The file; of a process that was forked off, one of its own."""
        return self._recorder.path

    @property
    def missed(self) -> int:
        """Calls that could not be written down: with grids on a device, or beyond the size of the file."""
        return self._recorder.missed

    def __call__(self, grid_thw: Any, dtype: object = None, queue: int | None = None) -> None:
        """Write down a call: rows of (frames, rows, columns) on the host, a dtype, and how many wait behind it."""
        if queue is None and self._queue is not None:
            queue = self._queue()
        self._recorder.note(grid_thw, dtype, queue)

    def wrap(self, tower: T) -> T:
        """The tower, whose every call is written down before it is made, up to the end of the recording.

        A module is the same module; of a function it is another. Raises UsageError for one without `grid_thw`.
        """
        forward = getattr(tower, "forward", None)
        if forward is None:
            return noting(tower, self)
        tower.forward = noting(forward, self, getattr(getattr(tower, "_orig_mod", tower), "forward", forward))  # type: ignore[attr-defined]
        self._ends.callback(vars(tower).pop, "forward", None)
        return tower


@contextmanager
def recording(path: str | PathLike[str], *, queue: Queue | None = None, max_mb: float = MOST_MB) -> Iterator[Recording]:
    """Record calls of vision towers to the new file `path`, as JSON lines that `--scenario FILE.jsonl` replays.

    Written down are seconds since the start, grids, dtype and the depth of the queue, which `queue` tells if given, and
    neither pixels nor text. At most `max_mb` MiB are written. Threads may share it; a process that is forked off writes
    FILE.PID.jsonl. Where the program traces itself with OpenTelemetry, the span of a call gets its figures, too.

    Raises UsageError for a file that is there or cannot be written.
    """
    goal = Path(path)
    if goal.suffix != ".jsonl":
        raise UsageError(f"recording: {goal} has to end in .jsonl, by which --scenario knows it; choose such a name")
    try:
        recorder = Recorder(goal, int(max_mb * 2**20))
    except FileExistsError:
        raise UsageError(f"recording: {goal} is there already; choose another name, or remove it") from None
    except OSError as error:
        raise UsageError(f"recording: {goal} cannot be written ({error.strerror}); choose another") from None
    with ExitStack() as ends:
        ends.callback(recorder.close)
        yield Recording(recorder, queue, ends)


def noting(forward: T, note: Callable[[Any, Any], None], told_by: Any = None, *, bound: bool = True) -> T:
    """The function, which tells `note` grids and dtype before each call that is not made inside of another.

    `told_by` is asked for the names of its arguments in its place. Not `bound`, its first argument is the module.
    Raises UsageError for one without `grid_thw`.
    """
    names = [each.name for each in signature(told_by or forward).parameters.values() if each.kind is not _ONLY]
    if GRIDS not in signature(told_by or forward).parameters:
        raise UsageError(
            f"recording: {getattr(forward, '__qualname__', forward)} takes no {GRIDS}; call the recording itself with "
            "the grids of each call"
        )
    place, first = names.index(GRIDS) if GRIDS in names else len(names), int(not bound)

    @wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        if _CALLS.inside or _is_compiling():
            return forward(*args, **kwargs)
        grids = kwargs[GRIDS] if GRIDS in kwargs else args[place] if place < len(args) else ()
        pixels = args[first] if first < len(args) else next(iter(kwargs.values()), None)
        note(grids, getattr(pixels, "dtype", None))
        _CALLS.inside = True
        try:
            return forward(*args, **kwargs)
        finally:
            _CALLS.inside = False

    return noted  # type: ignore[return-value]


_ONLY = Parameter.KEYWORD_ONLY


def _is_compiling() -> bool:
    """Is torch tracing the call, and so would trace what notes it?"""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()
