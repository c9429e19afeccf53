"""The time of every stage: by listeners on the host's clock, and on the GPU's by events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vlbench.implementations.stage import listen
from vlbench.profiling.tally import Charge, Tally, typical, without_block

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


Charges = Mapping[str, Charge]


@dataclass(frozen=True)
class Breakdown:
    """One forward by stage, each in the order of first entry."""

    host: Charges
    """Seconds until the host went on. On a GPU: the time to issue the work, and syncs."""
    gpu: Charges | None
    """Seconds between CUDA events; None without a GPU."""
    operations: Charges
    attention_calls: Charges

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """For `--json`: by stage, what was measured of it, seconds and exact counts."""
        tables = {"host_seconds": self.host, "gpu_seconds": self.gpu or {}}
        tables |= {"aten_operations": self.operations, "attention_calls": self.attention_calls}
        return {
            name: {key: asdict(table[name]) if name in table else None for key, table in tables.items()}
            for name in self.host
        }


def time_stages(
    call: Callable[[], object],
    forwards: int,
    new_clock: Callable[[], StageClock | EventClock],
    name_of: Callable[[str], str] = without_block,
) -> dict[str, Charge]:
    """Medians over `forwards` calls, one clock each."""
    clocks = []
    for _ in range(forwards):
        clock = new_clock()
        with listen(clock):
            call()
        clocks.append(clock)
    return typical(clock.times(name_of) for clock in clocks)
