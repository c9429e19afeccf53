"""A forward on a GPU that is not here: a host issues one event after another, a queue works them off.

The host's clock advances by the cost of each event. A kernel begins when the device is free and its launch has arrived,
and lasts for its time in the tables. A wait brings the host to the end of the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from vlbench.predicting.host import Act, Host
from vlbench.predicting.kernels import By, Kernels, Took, moved_bytes
from vlbench.record.sequence import Event, Kind

End = Literal["low", "middle", "high"]
ENDS: tuple[End, ...] = ("low", "high")
"""Of a band."""
MOST_UNKNOWN = 0.1
"""Share of the bytes of all operations that may be without a time; above it no total is told."""
Slice = tuple[bool, float, float, int]
"""Of a timeline: on the device (else on the host), from, to in microseconds, and the number of the step."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event as the timeline takes it."""

    event: Event
    acts: tuple[Act, ...]
    """What the host does before it is asked of the device."""
    took: Took | None = None
    """Of the device."""
    waits: bool = False
    """Does the host then wait until the queue is empty?"""


@dataclass(frozen=True)
class World:
    """One host and one error of each table."""

    host: Host
    error: Mapping[By, End]

    @property
    def name(self) -> str:
        """Which it is."""
        return " ".join([self.host.name, *self.error.values()])


@dataclass
class Stage:
    """What a stage takes of a timeline, in microseconds."""

    span: float = 0.0
    """By how much the end of all that was asked for moves while it is issued; stages add up to the whole."""
    busy: float = 0.0


@dataclass
class Timeline:
    """What one simulation came to, in microseconds."""

    span: float
    """From the first event to the end of the last, on the host or on the device."""
    busy: float
    """Of the device."""
    host: float
    """Until all was issued, without waiting for the queue."""
    stages: dict[str, Stage] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    """Where they were asked for."""
    ahead: float = 0.0
    """How long the device has still to do when the host has issued all."""

    @property
    def idle(self) -> float:
        """The share of the span in which the device has nothing to do: it waits for the host."""
        return 1 - self.busy / self.span if self.span else 0.0


def worlds(hosts: Sequence[Host]) -> list[World]:
    """Every host with every combination of the tables' errors."""
    kinds = list(By)
    return [
        World(host, dict(zip(kinds, ends, strict=True))) for host in hosts for ends in product(ENDS, repeat=len(kinds))
    ]


def outer(hosts: Sequence[Host]) -> list[World]:
    """Each host with all times low, and with all high: the ends of what a single figure may be."""
    return [World(host, dict.fromkeys(By, end)) for host in hosts for end in ENDS]


def middle(hosts: Sequence[Host]) -> list[World]:
    """Each host with the times as the tables have them."""
    return [World(host, dict.fromkeys(By, "middle")) for host in hosts]


def steps_of(events: Iterable[Event], kernels: Kernels) -> list[Step]:
    """The events as steps; allocations that an operation makes are part of its launch."""
    return [_step(event, kernels) for event in events]


def _step(event: Event, kernels: Kernels) -> Step:
    match event.kind:
        case Kind.OPERATION:
            act = Act.ATTENTION if event.attention else Act.LAUNCH
            return Step(event, (Act.PLAN, act) if event.new_plan else (act,), kernels.took(event))
        case Kind.UPLOAD:
            acts = (Act.LAUNCH, Act.PINNED if event.pinned else Act.PAGEABLE)
            return Step(event, acts, kernels.copied(event), waits=event.blocking)
        case Kind.READ_BACK:
            return Step(event, (Act.LAUNCH,), kernels.copied(event), waits=event.blocking)
        case Kind.WAIT:
            return Step(event, (Act.LAUNCH,), waits=True)
        case Kind.VIEW:
            return Step(event, (Act.ALLOCATION if event.operation.startswith("aten::empty") else Act.VIEW,))
        case Kind.ALLOCATION:
            return Step(event, ())
        case _:
            return Step(event, (Act.HOST,))


def without_time(steps: Iterable[Step]) -> tuple[dict[str, int], float]:
    """Operations without a time and why, how often; and their share of the bytes of all operations."""
    named: Counter[str] = Counter()
    missing = total = 0
    for step in steps:
        if step.event.kind is Kind.OPERATION and step.took is not None:
            size = moved_bytes(step.event)
            total += size
            if step.took.why_not:
                named[f"{step.event.operation}: {step.took.why_not}"] += 1
                missing += size
    return dict(named.most_common()), missing / total if total else 0.0


def why_untold(share: float) -> str:
    """Why no total is told where this share of the bytes has no time; "" where one is."""
    if share <= MOST_UNKNOWN:
        return ""
    return f"no time is predicted for {share:.0%} of the bytes that it moves; at most {MOST_UNKNOWN:.0%} may be so"


def simulate(steps: Iterable[Step], world: World, *, draw: bool = False, ahead: float = 0.0) -> Timeline:
    """Run the steps under one host and one error of each table, on a device that has `ahead` still to do."""
    us, error, begin, after = world.host.us, world.error, world.host.us[Act.BEGIN], world.host.us[Act.READ_BACK]
    host = busy = issued = 0.0
    device = front = ahead
    stages: dict[str, Stage] = {}
    slices: list[Slice] = []
    for index, step in enumerate(steps):
        start = host
        for act in step.acts:
            host += us[act]
        issued += host - start
        if draw and host > start:
            slices.append((False, start, host, index))
        took = step.took
        if took is not None:
            end = error[took.by]
            length = took.low if end == "low" else took.high if end == "high" else took.us
            began = max(device, host + begin)
            device = began + length
            busy += length
            if draw:
                slices.append((True, began, device, index))
        if step.waits:
            waited = host
            host = max(host, device) + after
            if draw:
                slices.append((False, waited, host, index))
        reached = max(host, device)
        stage = stages.setdefault(step.event.stage, Stage())
        stage.span += reached - front
        stage.busy += length if took is not None else 0.0
        front = reached
    return Timeline(front, busy, issued, stages, slices, max(device - host, 0.0))
