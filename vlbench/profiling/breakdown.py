"""The time of every stage, from forwards of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vlbench.implementations.stage import listen
from vlbench.profiling.clock import EventClock, StageClock
from vlbench.profiling.tally import Charge, typical, without_block

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
