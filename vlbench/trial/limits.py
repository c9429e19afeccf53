"""How long measuring may take, and what is said of what there was no time for."""

import math
from dataclasses import dataclass

WRITING = 1.0
"""Seconds of a budget in which results are judged and written."""


def end_of(start: float, budget: float) -> float:
    """When measuring that began at `start` has to be over, so that results are written within the budget."""
    return start + budget - min(WRITING, budget / 10)


@dataclass
class Limits:
    """How long all may take, and one trial of it."""

    timeout: float
    """Seconds of one trial, at the end of which what it has is kept."""
    until: float = math.inf
    """When all has to be over, by `time.monotonic()`."""
    budget: str = ""
    """What sets that end, in words."""
    remedy: str = ""
    """What measures the rest."""
    anew: str = ""
    """What helps where no row was timed, so that there is nothing to go on from."""

    def named(self, allowed: float) -> str:
        """What gave a trial so many seconds."""
        return self.budget if allowed < self.timeout else f"--timeout {self.timeout:g}s"

    def why(self, allowed: float, *, begun: bool = True, needs: float = 0.0) -> str:
        """Why something was left when a trial had so many seconds; all of it may need more, unless that is 0."""
        within = f"no time left within {self.named(allowed)}"
        if begun or not self.anew:
            return within + self.remedy
        about = f"; it takes about {needs:.0f} s" if needs else ""
        return f"{within}, and no row was timed{about}; {self.anew}"
