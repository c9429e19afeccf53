"""What a process of ours has started and left running: found however it was handed on, and ended.

A process that is started in a session of its own hands that session on, or one that is newer, to all that come from it.
What of it is orphaned comes to this process on Linux, which it asks for. So nothing gets out of sight by a double fork.
"""

import ctypes
import os
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

LEFT_BEHIND = "it left {} behind, which would run while others work"
"""How many processes, in words."""
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
PATIENCE = 2.0
"""Seconds in which all have to be found and ended, however fast they start others."""
LOOK = 0.02
"""Seconds between two looks at what may end by itself."""


@contextmanager
def adopting() -> Iterator[frozenset[int]]:
    """Meanwhile what is orphaned anywhere below this process becomes its child; on Linux alone.

    Gives the processes that are below it by now: nothing that is started later has left them behind.
    """
    import psutil

    there = frozenset(each.pid for each in psutil.Process().children(recursive=True))
    if sys.platform != "linux":
        yield there
        return
    libc, before = ctypes.CDLL(None), ctypes.c_int()
    libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield there
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def end_left_behind(pid: int | None, others: Collection[int], moment: float = 0.0) -> int:
    """End all that comes from the process `pid`, but not itself; how many there were.

    `pid` leads a session of its own; None stands for those that did, and have ended. `others` are further processes
    that this one has started, which are not looked at. What ends by itself in a `moment` of seconds does not count.
    """
    import psutil

    ended, start = set[int](), time.monotonic()
    while (passed := time.monotonic() - start) < moment + PATIENCE:
        below = {each.pid: each for each in psutil.Process().children(recursive=True)}
        living = [each for each in below if _comes_from(pid, each, below, others)]
        if not living:
            break
        if passed < moment:
            time.sleep(LOOK)
            continue
        for each in living:
            with suppress(psutil.NoSuchProcess):
                below[each].kill()
                ended.add(each)
    return len(ended)


def _comes_from(pid: int | None, one: int, below: dict[int, Any], others: Collection[int]) -> bool:
    """Is `one` alive, and started by `pid`, or an orphan that was?"""
    import psutil

    try:
        if one == pid or one in others or below[one].status() == psutil.STATUS_ZOMBIE:
            return False
        at = one
        while (parent := below[at].ppid()) in below:
            if parent == pid or parent in others:
                return bool(parent == pid)
            at = parent
        return os.getsid(at) != os.getsid(0)
    except (psutil.NoSuchProcess, ProcessLookupError):  # it has ended meanwhile
        return False
