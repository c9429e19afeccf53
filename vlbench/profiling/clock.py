"""Listeners that time the stages: on the host's clock, and on the GPU's by events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vlbench.profiling.tally import Charge, Tally, without_block

if TYPE_CHECKING:
    import torch


class StageClock(Tally[float]):
    """Host seconds by stage.

    `synchronize` is called at every border, so that on a GPU a stage's time holds the work it issued; that makes the
    forward slower, which is why shares come from rounds of their own.
    """

    def __init__(self, synchronize: Callable[[], None] | None = None) -> None:
        def read() -> float:
            if synchronize is not None:
                synchronize()
            return time.perf_counter()

        super().__init__(read)

    @property
    def seconds(self) -> dict[str, float]:
        """Self time: each stage's own, without the stages inside it; blocks added up."""
        return {name: charge.own for name, charge in self.times().items()}

    def times(self, name_of: Callable[[str], str] = without_block) -> dict[str, Charge]:
        """Visits, and own and total seconds, of every stage."""
        return self.charges(lambda start, end: end - start, name_of)


class EventClock(Tally["torch.cuda.Event"]):
    """GPU seconds by stage: an event is recorded on the current stream at every border, and nobody waits.

    What lies between two events holds the stream's idle time too: a stage whose launches come too slowly shows as
    long as the host takes. Work on other streams is not seen.
    """

    def __init__(self) -> None:
        import torch

        def read() -> torch.cuda.Event:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            return event

        super().__init__(read)

    def times(self, name_of: Callable[[str], str] = without_block) -> dict[str, Charge]:
        """Visits, and own and total seconds, of every stage. Waits for the GPU."""
        import torch

        torch.cuda.synchronize()
        return self.charges(lambda start, end: float(start.elapsed_time(end)) * 1e-3, name_of)
