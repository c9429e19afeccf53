"""Temporary folders of ours. Who is killed puts nothing away, so the next process of ours removes what it left."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

FOLDER = "VLBENCH_CHILD_FOLDER"
"""The variable with the folder that goes with a child."""
PREFIX = "vlbench-scratch-"
IN_USE = "in-use"
"""A file in each, which its process keeps locked: the system lets go of a lock however a process ends."""


class Scratch(tempfile.TemporaryDirectory[str]):
    """A temporary folder; in a child inside of the one that goes with it.

    Whatever a judged process has made of it, or still does there, its removal raises nothing.
    """

    def __init__(self) -> None:
        inside = os.environ.get(FOLDER)
        if inside is None:
            _remove_left(tempfile.gettempdir())
        else:
            os.makedirs(inside, 0o700, exist_ok=True)  # whoever is judged may have removed it
        super().__init__(prefix=PREFIX, dir=inside, ignore_cleanup_errors=True)
        draft = Path(self.name) / "draft"
        self._held = draft.open("wb")
        with suppress(OSError):  # a file system without locks, where nobody will take it for left
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(draft.with_name(IN_USE))  # locked before it can be found

    def cleanup(self) -> None:
        """Remove it."""
        super().cleanup()
        self._held.close()


@cache
def _remove_left(folder: str) -> None:
    """Once a process: the folders that nobody holds any more."""
    for file in Path(folder).glob(f"{PREFIX}*/{IN_USE}"):
        with suppress(OSError), file.open("r+b") as left:  # it is held, somebody else's, or gone by now
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent)
