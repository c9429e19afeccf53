"""How long a host is busy with each kind of event: figures from real captures, read from a data file.

The fast host takes each figure at its 10th percentile, the slow one at its median: forwards that are well written sit
at the low quantiles of what eager PyTorch was seen to take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from vlbench.errors import UsageError
from vlbench.record.base import Amount, Checksummed, Count, Record, read_intact
from vlbench.untrusted.files import Kind

HOSTS = Path(__file__).with_name("hosts.json")
STORED = Kind("write it anew with `python -m results.host_times CAPTURE...`", ours=True)
QUANTILES = tuple(each / 20 for each in range(21))
"""Of what was seen, from the least to the most, that are stored."""
AT = {"fast": 0.1, "slow": 0.5}
"""The hosts, and the quantile of each figure that they take."""


class Act(StrEnum):
    """What a host does for an event."""

    LAUNCH = "launch"
    ATTENTION = "attention call"
    VIEW = "view"
    HOST = "host operation"
    ALLOCATION = "allocation"
    WAIT = "call that waits"
    READ_BACK = "read-back"
    PAGEABLE = "pageable upload"
    PINNED = "pinned upload"
    PLAN = "attention plan"
    BEGIN = "until a kernel begins"


MEANINGS: Mapping[Act, str] = {
    Act.LAUNCH: "from one call for work on the device to the next, in stretches of 20 and more: Python, dispatcher, "
    "the allocator's answer and the driver",
    Act.ATTENTION: "the same before a fused attention kernel, as a multiple of the other launches of that capture",
    Act.VIEW: "a view, as torch's operator",
    Act.HOST: "an operator on tensors of the host",
    Act.ALLOCATION: "an empty tensor, as torch's operator",
    Act.WAIT: "a call that waits, with nothing queued, from its beginning to its end, as a multiple of a launch",
    Act.READ_BACK: "from the end of a copy to the host to the end of the call that waits for it",
    Act.PAGEABLE: "the call that copies to the device from pageable memory, above a launch",
    Act.PINNED: "the call that copies to the device from pinned memory, above a launch",
    Act.PLAN: "what cuDNN takes to build a plan of attention, as others measured it",
    Act.BEGIN: "from a launch to the start of its kernel where nothing was queued before it",
}


class Seen(Record):
    """What one capture says of one act, in microseconds at `QUANTILES`."""

    capture: str
    version: str
    gpu: str = ""
    count: Count
    us: tuple[Amount, ...]

    def at(self, quantile: float) -> float:
        """One of the stored quantiles."""
        return self.us[QUANTILES.index(quantile)]

    def inside(self, low: float, high: float) -> float:
        """The share of what was seen from `low` to `high`, ends included, by straight lines between the quantiles."""
        us = np.array(self.us)
        up_to = np.interp(high, us, QUANTILES, left=0, right=1)
        from_on = np.interp(-low, -us[::-1], QUANTILES, left=0, right=1)
        return float(max(0.0, up_to + from_on - 1))


class ActTimes(Record):
    """All that is known of one act."""

    act: str
    meaning: str
    multiple: bool = False
    """Of a launch, not microseconds."""
    seen: tuple[Seen, ...] = ()
    fast: Amount | None = None
    """Of the fast host, in place of what was seen."""
    stated: tuple[Amount, Amount] | None = None
    """Fast and slow, in microseconds or as a multiple, where no capture has it."""
    source: str = ""
    """Of what is stated, or what there is to say of what was seen."""

    def at(self, quantile: float) -> float:
        """The figure of one host: the median over the captures at this quantile."""
        if self.fast is not None and quantile == AT["fast"]:
            return self.fast
        if self.seen:
            return float(np.median([each.at(quantile) for each in self.seen]))
        if self.stated is None:
            raise UsageError(f"{HOSTS.name}: nothing is known of {self.act!r}; {STORED.remedy}")
        return self.stated[quantile != AT["fast"]]


class HostTimes(Checksummed):
    """The file of host times. `calibrate` on a GPU may write one of the same form for the host at hand."""

    schema_version: Literal[1] = 1
    made_by: str
    acts: tuple[ActTimes, ...]

    def host(self, name: str) -> Host:
        """The host `fast` or `slow`."""
        acts = {Act(each.act): each for each in self.acts}
        if missing := [act.value for act in Act if act not in acts]:
            raise UsageError(f"{HOSTS.name}: lacks {', '.join(missing)}; {STORED.remedy}")
        us = {act: each.at(AT[name]) for act, each in acts.items()}
        us |= {act: us[act] * us[Act.LAUNCH] for act, each in acts.items() if each.multiple}
        return Host(name, us)


@dataclass(frozen=True)
class Host:
    """Microseconds of each act on one host."""

    name: str
    us: Mapping[Act, float]

    def times(self, factor: float) -> Host:
        """The same, so many times as long in what it does itself; a plan and a launch on its way are not that."""
        return Host(self.name, {a: us if a in (Act.PLAN, Act.BEGIN) else factor * us for a, us in self.us.items()})


@cache
def host_times(path: Path = HOSTS) -> HostTimes:
    """The stored figures. Raises UsageError where the file is not there, or was edited or damaged."""
    return read_intact(HostTimes, path, STORED)


@cache
def hosts(factors: tuple[float, float] | None = None) -> tuple[Host, ...]:
    """The fast host and the slow one; with `factors`, of a board that was measured, so many times as long."""
    found = [host_times().host(name) for name in AT]
    return tuple(each.times(factor) for each, factor in zip(found, factors or (1.0, 1.0), strict=True))
