"""Writes down calls as JSON lines: when, which grids, dtype and depth of the queue. Nothing else is kept.

A call is put into a list, and a thread writes the list twice a second, so that the caller never waits for a disk. Lines
are written whole or not at all; what a killed process leaves out is its last half second.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any
from weakref import WeakSet

from vlbench.traffic.spans import tell_span

VERSION = 1
HEAD = f'{{"vlbench_trace":{VERSION}}}\n'.encode()
EVERY = 0.5
"""Seconds between two looks at what waits to be written."""
MOST_WAITING = 100_000
"""Calls that wait for a disk; further ones are counted as missed."""
RESERVE = 256
"""Bytes that are kept for what a file ends with."""
PIECE = 1 << 16
"""Bytes that are written at once, in whole lines."""
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
        self._size = self.missed = self._told = 0
        self.full = False

    def note(self, grid_thw: Any, dtype: object, queue: int | None) -> None:
        """One call. Never raises and never waits: what cannot be noted is counted as missed.

        That is so of grids on a device, since to read them would make the host wait for it.
        """
        try:
            if self.full or len(self._waiting) >= MOST_WAITING or not getattr(grid_thw, "is_cpu", True):
                raise ValueError
            rows = grid_thw.tolist() if hasattr(grid_thw, "tolist") else list(map(tuple, grid_thw))
            self._waiting.append((monotonic() - self._start, rows, dtype, queue))
            if self._writer is None:
                self._start_writer()
            if "opentelemetry.trace" in sys.modules:
                tell_span(rows, dtype, queue)
        except Exception:
            with self._counting:
                self.missed += 1

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            lines = [_line(*self._waiting.popleft()) for _ in range(len(self._waiting))]
            written = 0
            try:
                for piece in self._pieces([line for line in lines if line]):
                    self._put(b"".join(piece))
                    written += len(piece)
            except OSError as error:
                self._give_up(f"it cannot be written ({error.strerror})")
            with self._counting:
                self.missed += len(lines) - written

    def close(self) -> None:
        """Write what waits, and end. What is noted later is lost."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.flush()
        with self._writing:
            self.full = True
            if self._file is not None:
                with suppress(OSError):
                    self._end()
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

    def _open(self, names: Any) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        for path in names:
            with suppress(FileExistsError) if self._shared else nullcontext():
                self._file = os.open(path, flags, 0o644)
                self.path = path
                self._put(HEAD)
                return

    def _names(self) -> Iterator[Path]:
        yield self._named
        for number in count(1):
            yield self._named.with_stem(f"{self._named.stem}.{os.getpid()}{f'-{number}' if number > 1 else ''}")

    def _pieces(self, lines: list[bytes]) -> Iterator[list[bytes]]:
        """What there is room for, in pieces."""
        if lines and self._file is None and not self.full:
            self._open(self._names())
        piece, size = list[bytes](), 0
        for line in lines:
            if self.full or self._size + size + len(line) > self._most - RESERVE:
                self.full = True
                break
            piece.append(line)
            size += len(line)
            if size >= PIECE:
                yield piece
                piece, size = [], 0
        if piece:
            yield piece

    def _end(self) -> None:
        """What is missing, as the last line."""
        if self.missed > self._told:
            self._put(b'{"missed":%d}\n' % (self.missed - self._told))
            self._told = self.missed

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

    def _give_up(self, why: str) -> None:
        self.full = True
        warnings.warn(f"{self._named}: {why}; nothing more is recorded", RuntimeWarning, stacklevel=2)


def _line(seconds: float, rows: list[Any], dtype: object, queue: int | None) -> bytes:
    """A call as a line of JSON; b"" for what are no grids."""
    try:
        grids = [[int(t), int(h), int(w)] for t, h, w in rows]
    except (TypeError, ValueError):
        return b""
    named = "null" if dtype is None else f'"{str(dtype).removeprefix("torch.")}"'
    waits = b"null" if queue is None else b"%d" % queue
    return b'{"t":%.6f,"grids":%a,"dtype":%b,"queue":%b}\n' % (seconds, grids, named.encode(), waits)


def _forked() -> None:
    for recorder in list(_ALIVE):
        recorder.forked()


os.register_at_fork(after_in_child=_forked)
