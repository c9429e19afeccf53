"""Writes down calls as JSON lines: when, which grids, dtype and depth of the queue. Nothing else is kept.

A call is put into a list, and a thread writes the list twice a second, so that the caller never waits for a disk. Lines
are written whole or not at all; what a killed process leaves out is its last half second.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any
from weakref import WeakSet

from vlbench.traffic.spans import tell_span
from vlbench.untrusted.limits import Limit

VERSION = 1
HEAD = f'{{"vlbench_trace":{VERSION}}}\n'.encode()
EVERY = 0.5
"""Seconds between two looks at what waits to be written."""
MOST_WAITING = 100_000
"""Calls that wait for a disk; further ones are counted as missed."""
RESERVE = 256
"""Bytes that are kept for what a file ends with."""
AT_ONCE = 1_000
"""Lines that are written at once."""
LONGEST_SIDE = 1 << 16
DTYPE = re.compile(r"[A-Za-z][a-z0-9_]{0,30}")
_ALIVE: WeakSet[Recorder] = WeakSet()


class Recorder:
    """One file of calls. Any thread may note calls; a process that is forked off writes a file of its own."""

    def __init__(self, path: Path, most_bytes: int, *, shared: bool = False) -> None:
        """Opens `path`, which must be new: raises OSError. Where it is `shared` by processes, it opens with the first
        call, and takes another name where there is such a file."""
        self.path = path
        self._named, self._most, self._shared, self._start = path, most_bytes, shared, monotonic()
        self._begin()
        if not shared:
            self._open([path])
        _ALIVE.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        self._waiting: deque[tuple[float, list[Any], object, int | None]] = deque()
        self._writing, self._counting, self._ended = Lock(), Lock(), Event()
        self._writer: Thread | None = None
        self._file: int | None = None
        self._size = self.missed = 0
        self.full = False

    def note(self, grid_thw: Any, dtype: object, queue: int | None) -> None:
        """One call. Never raises and never waits: what cannot be noted is counted as missed.

        That is so of grids on a device, since to read them would make the host wait for it. What the file has no room
        for is told to the span of the call all the same.
        """
        noted = False
        try:
            if getattr(grid_thw, "is_cpu", True):
                rows = grid_thw.tolist() if hasattr(grid_thw, "tolist") else list(map(tuple, grid_thw))
                if "opentelemetry.trace" in sys.modules:
                    tell_span(rows, dtype, queue)
                noted = not self.full and len(self._waiting) < MOST_WAITING
                if noted:
                    self._waiting.append((monotonic() - self._start, rows, dtype, queue))
                    if self._writer is None:
                        self._start_writer()
        except Exception:
            noted = False
        if not noted:
            with self._counting:
                self.missed += 1

    def flush(self) -> None:
        """Write what waits, as far as there is room."""
        with self._writing:
            lines = [_line(*self._waiting.popleft()) for _ in range(len(self._waiting))]
            room, kept = self._most - RESERVE - (self._size or len(HEAD)), list[bytes]()
            for line in filter(None, lines):
                room -= len(line)
                if room < 0:
                    self.full = True
                if self.full:
                    break
                kept.append(line)
            written = 0
            try:
                if self._file is None and (kept or (self.missed and self._ended.is_set())):
                    self._open(self._names())
                for start in range(0, len(kept), AT_ONCE):
                    self._put(b"".join(kept[start : start + AT_ONCE]))
                    written = min(start + AT_ONCE, len(kept))
            except OSError as error:
                self.full = True
                told = f"{self._named}: it cannot be written ({error.strerror}); nothing more is recorded"
                warnings.warn(told, RuntimeWarning, stacklevel=2)
            with self._counting:
                self.missed += len(lines) - written

    def close(self) -> None:
        """Write what waits, and how many are missing, and end. What is noted later is lost."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.flush()
        with self._writing:
            self.full = True
            if self._file is not None:
                with suppress(OSError):
                    self._put(b'{"missed":%d}\n' % self.missed if self.missed else b"")
                os.close(self._file)
                self._file = None
        atexit.unregister(self.close)

    def forked(self) -> None:
        """Of the process that was forked off: what waits is the other's to write, and so is its file."""
        if self._file is not None:
            os.close(self._file)
        ended = self._ended.is_set()
        self._begin()
        self._shared = True
        self._named = self.path.with_stem(f"{self.path.stem}.{os.getpid()}")
        if ended:
            self.full = True
            self._ended.set()

    def _start_writer(self) -> None:
        with self._counting:
            if self._writer is None:
                self._writer = Thread(target=self._write_on, name="vlbench recorder", daemon=True)
                self._writer.start()

    def _write_on(self) -> None:
        while not self._ended.wait(EVERY):
            self.flush()

    def _open(self, names: Iterable[Path]) -> None:
        for path in names:
            with suppress(FileExistsError) if self._shared else nullcontext():
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                self.path = path
                self._put(HEAD)
                return

    def _names(self) -> Iterator[Path]:
        yield self._named
        for number in count():
            yield self._named.with_stem(f"{self._named.stem}.{os.getpid()}{f'-{number}' * (number > 0)}")

    def _put(self, data: bytes) -> None:
        """Whole lines: where they do not fit on a disk the file ends where it did."""
        assert self._file is not None
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            if done:
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)


def _line(seconds: float, rows: list[Any], dtype: object, queue: int | None) -> bytes:
    """A call as a line of JSON; b"" for what could not be read back."""
    try:
        grids = [[int(t), int(h), int(w)] for t, h, w in rows]
        waits = b"null" if queue is None else b"%d" % queue
    except (TypeError, ValueError):
        return b""
    named = str(dtype).removeprefix("torch.")
    if not grids or not all(map(is_grid, grids)) or not DTYPE.fullmatch(named):
        return b""
    named = "null" if dtype is None else f'"{named}"'
    return b'{"t":%.6f,"grids":%a,"dtype":%b,"queue":%b}\n' % (seconds, grids, named.encode(), waits)


def is_grid(grid: Sequence[int]) -> bool:
    """Are these frames, rows and columns of patches, of which two by two are a token?"""
    t, h, w = grid
    return min(grid) > 0 and max(grid) <= LONGEST_SIDE and h % 2 == w % 2 == 0 and t * h * w <= Limit.PATCHES.most


def _forked() -> None:
    for recorder in list(_ALIVE):
        recorder.forked()


os.register_at_fork(after_in_child=_forked)
