"""What passes between a process of ours and its parent: messages, a line of JSON each, and a marker.

The marker says what is being called right now, and since when. It is a mapped file, so that writing it costs a copy in
memory and no system call, and it is there even when the process is gone or hangs.
"""

import mmap
import os
import struct
import time
from io import FileIO
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

MARKER_SIZE = 4096
SINCE = struct.Struct("d")


class Message(BaseModel):
    """One line of a conversation. What a worker says has a literal field `event`, by which its kind is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Refused(Message):
    """The work cannot be done as asked; the message is for the user."""

    event: Literal["refused"] = "refused"
    message: str


class Running(Message):
    """The first that a process of another Python says: see `vlbench.process.start`."""

    code: str
    """The file that `import vlbench` runs there, without links."""


class Marker:
    """The marker as the process that works writes it."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), MARKER_SIZE)

    def __call__(self, name: str) -> None:
        self._map[:MARKER_SIZE] = (SINCE.pack(time.monotonic()) + name.encode())[:MARKER_SIZE].ljust(MARKER_SIZE, b"\0")


def create_marker(path: Path) -> FileIO:
    """Make the file, which names nothing yet, and keep it open: the process that marks can remove or replace it."""
    file = FileIO(path, "w+")
    file.write(b"\0" * MARKER_SIZE)
    return file


class Marked(NamedTuple):
    """What a process marked last."""

    since: float
    """When, by `time.monotonic()`, which is one clock for all processes of a machine."""
    name: str


def read_marker(file: FileIO) -> Marked | None:
    """What was marked last, None before the first, and where the process has cut the file or written nonsense."""
    content = os.pread(file.fileno(), MARKER_SIZE, 0)
    since = SINCE.unpack_from(content)[0] if len(content) == MARKER_SIZE else 0.0
    return Marked(since, content[SINCE.size :].rstrip(b"\0").decode(errors="ignore")) if since > 0 else None
