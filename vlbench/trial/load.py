"""How busy the machine is while rounds are timed: by its load, by what the hypervisor takes, and by this process."""

import os
import resource
import time
from pathlib import Path

from vlbench.record.schema import Load

STAT = Path("/proc/stat")
STEAL = 7
"""The place of the stolen time among the figures of a line of /proc/stat (proc(5))."""


class LoadMeter:
    """From when it is made until it is read."""

    def __init__(self) -> None:
        self._started, self._switches, self._ticks = time.monotonic(), _switches(), _ticks()

    def read(self) -> Load:
        """What was seen since; figures that this system does not have are None."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        before, after = self._ticks, _ticks()
        passed = after[1] - before[1] if before and after else 0
        return Load(
            cores=os.cpu_count() or 1,
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            stolen=(after[0] - before[0]) / passed if before and after and passed else None,
            switches=(_switches() - self._switches) / seconds,
        )


def _switches() -> int:
    """How often this process was taken off its core, though it could have gone on."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _ticks() -> tuple[int, int] | None:
    """Stolen and all ticks of all cores so far; None where the system does not tell."""
    try:
        name, *ticks = STAT.read_text().split("\n", 1)[0].split()
    except (OSError, ValueError):
        return None
    figures = [int(each) for each in ticks[: STEAL + 1]]  # guests' time, which follows, is in the others already
    return (figures[STEAL], sum(figures)) if name == "cpu" and len(figures) > STEAL else None
