"""Locks that the system lets go of however a process ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(handle: int, *, wait: bool) -> bool:
    """Lock what is open, until it is closed; False where another process holds it and nobody is to `wait`.

    Where neither the system nor the file system has locks, all goes on without.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no other vlbench changes the baselines of a folder: it waits for its turn."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle, wait=True)
        yield
    finally:
        os.close(handle)
