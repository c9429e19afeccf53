"""A forward on a GPU that is not here: a host issues one event after another, a queue works them off.

The host's clock advances by the cost of each event. A kernel begins when the device is free and its launch has arrived,
and lasts for its time in the tables. A call that waits takes the host what it takes with nothing queued, or what is
left of the queue, its own copy and the way back, whichever is later.

Sums and the later of two times are all that there is to it: the algebra of (max, +). So whatever some steps do to a
host and a queue is a 2x2 matrix over that: four times, from which the ends of both follow, wherever they begin. Layers
that are alike are worked out once.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from math import inf
from typing import Literal, NamedTuple

from vlbench.counting.layers import Chunk
from vlbench.predicting.host import Act, Host
from vlbench.predicting.kernels import By, Kernels, Took, moved_bytes
from vlbench.record.sequence import REPLAY, Event, Kind

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


class Effect(NamedTuple):
    """What some steps do, in microseconds: when host and device end, each as the later of two.

    One follows from when the host begins, the other from when the device is free; -inf where it does not follow.
    """

    host_by_host: float
    host_by_device: float
    device_by_host: float
    device_by_device: float
    busy: float
    issued: float


@dataclass(frozen=True, eq=False)
class Stretch:
    """Steps of one stage, one after another. It is there once, however often it comes in a forward."""

    part: Hashable
    """Of the forward: two of one part come equally often."""
    stage: str
    steps: Sequence[Step]
    effects: dict[str, Effect] = field(default_factory=dict)
    """Worked out so far, by the name of the world."""

    def effect(self, world: World) -> Effect:
        """What they do under one host and one error of each table."""
        if world.name not in self.effects:
            self.effects[world.name] = _effect(self.steps, world)
        return self.effects[world.name]


Forward = Sequence[Stretch]
"""In order; layers that are alike are the same stretches once more."""


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
    stages: dict[str, Stage]

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


def steps_of(events: Iterable[Event], kernels: Kernels, *, replaying: bool = False) -> list[Step]:
    """The events as steps; allocations that an operation makes are part of its launch.

    What a graph replays follows one launch, unless what comes before it is `replaying` as well; of that the host does
    nothing, and what it would wait for is no part of a graph.
    """
    steps: list[Step] = []
    for event in events:
        if event.replayed and not replaying:
            steps.append(Step(Event(Kind.OPERATION, REPLAY, event.stage), (Act.LAUNCH,)))
        replaying = event.replayed
        step = _step(event, kernels)
        steps.append(Step(event, (), step.took) if replaying else step)
    return steps


def _step(event: Event, kernels: Kernels) -> Step:
    match event.kind:
        case Kind.OPERATION:
            act = Act.ATTENTION if event.attention else Act.LAUNCH
            return Step(event, (Act.PLAN, act) if event.new_plan else (act,), kernels.took(event))
        case Kind.UPLOAD:
            acts = (Act.LAUNCH, Act.PINNED if event.pinned else Act.PAGEABLE)
            return Step(event, acts, kernels.copied(event), waits=event.blocking)
        case Kind.READ_BACK:
            act = Act.WAIT if event.blocking else Act.LAUNCH
            return Step(event, (act,), kernels.copied(event), waits=event.blocking)
        case Kind.WAIT:
            return Step(event, (Act.WAIT,), waits=True)
        case Kind.VIEW:
            return Step(event, (Act.ALLOCATION if event.operation.startswith("aten::empty") else Act.VIEW,))
        case Kind.ALLOCATION:
            return Step(event, ())
        case _:
            return Step(event, (Act.HOST,))


def forward_of(chunks: Iterable[Chunk], kernels: Kernels) -> Forward:
    """The stretches of a forward, each part of which is looked at once."""
    made: dict[Hashable, list[Stretch]] = {}
    order: list[Stretch] = []
    replaying = False
    for part, events in chunks:
        key = part, replaying
        if key not in made:
            made[key] = stretches(key, steps_of(events, kernels, replaying=replaying))
        order += made[key]
        replaying = events[-1].replayed if events else replaying
    return tuple(order)


def stretches(part: Hashable, steps: Iterable[Step]) -> list[Stretch]:
    """The steps of a part, cut where the stage changes."""
    by_stage = groupby(steps, key=lambda step: step.event.stage)
    return [Stretch(part, stage, tuple(each)) for stage, each in by_stage]


def without_time(forward: Forward) -> tuple[dict[str, int], float]:
    """Operations without a time and why, how often; and their share of the bytes of all operations."""
    named: Counter[str] = Counter()
    missing = total = 0
    for stretch, times in Counter(forward).items():
        for step in stretch.steps:
            if step.event.kind is Kind.OPERATION and step.took is not None:
                size = moved_bytes(step.event) * times
                total += size
                if step.took.why_not:
                    named[f"{step.event.operation}: {step.took.why_not}"] += times
                    missing += size
    return dict(named.most_common()), missing / total if total else 0.0


def replayed(forward: Forward) -> tuple[int, str]:
    """Operations in graphs that are replayed, and why their time is not told: "" where it is."""
    number, why = 0, ""
    for stretch, times in Counter(forward).items():
        for step in stretch.steps:
            event = step.event
            number += times * (event.replayed and event.kind is Kind.OPERATION)
            if event.replayed and (event.blocking or event.kind is Kind.WAIT):
                why = f"{event.name} at {event.line} waits, which no CUDA graph can hold"
            elif event.operation == REPLAY and step.took is not None:
                why = "what its own CUDA graphs replay has no predicted time"
    return number, why


def why_untold(share: float) -> str:
    """Why no total is told where this share of the bytes has no time; "" where one is."""
    if share <= MOST_UNKNOWN:
        return ""
    return f"no time is predicted for {share:.0%} of the bytes that it moves; at most {MOST_UNKNOWN:.0%} may be so"


def simulate(forward: Forward, world: World) -> Timeline:
    """Run the forward under one host and one error of each table."""
    host = device = front = busy = issued = 0.0
    stages: dict[str, Stage] = {}
    for stretch in forward:
        effect = stretch.effect(world)
        host, device = (
            max(host + effect.host_by_host, device + effect.host_by_device),
            max(host + effect.device_by_host, device + effect.device_by_device),
        )
        reached = max(host, device)
        stage = stages.setdefault(stretch.stage, Stage())
        stage.span += reached - front
        stage.busy += effect.busy
        front, busy, issued = reached, busy + effect.busy, issued + effect.issued
    return Timeline(front, busy, issued, stages)


def _effect(steps: Iterable[Step], world: World) -> Effect:
    """Followed twice: with a device that was free long before, and with a host that had issued all long before."""
    begin, after = world.host.us[Act.BEGIN], world.host.us[Act.READ_BACK]
    host, late_host, device, late_device = 0.0, -inf, -inf, 0.0
    busy = issued = 0.0
    for cost, length, waits in _moves(steps, world):
        issued += cost
        busy += length or 0.0
        if waits:
            device, late_device = max(host, device) + (length or 0.0), max(late_host, late_device) + (length or 0.0)
            host, late_host = max(host + cost, device + after), max(late_host + cost, late_device + after)
            continue
        host, late_host = host + cost, late_host + cost
        if length is not None:
            device = max(device, host + begin) + length
            late_device = max(late_device, late_host + begin) + length
    return Effect(host, late_host, device, late_device, busy, issued)


def _moves(steps: Iterable[Step], world: World) -> Iterator[tuple[float, float | None, bool]]:
    """Of each step: what the host takes, what the device takes, and whether the host then waits."""
    us, error = world.host.us, world.error
    for step in steps:
        took, length = step.took, None
        if took is not None:
            end = error[took.by]
            length = took.low if end == "low" else took.high if end == "high" else took.us
        yield sum([us[act] for act in step.acts]), length, step.waits


def drawn(steps: Iterable[Step], world: World) -> list[Slice]:
    """The same step by step, to be looked at."""
    begin, after = world.host.us[Act.BEGIN], world.host.us[Act.READ_BACK]
    host = device = 0.0
    slices: list[Slice] = []
    for index, (cost, length, waits) in enumerate(_moves(steps, world)):
        called, host = host, host + cost
        began = max(device, called if waits else host + begin)
        if length is not None:
            device = began + length
        if waits:
            host = max(host, max(called, device) + after)
        if host > called:
            slices.append((False, called, host, index))
        if length is not None:
            slices.append((True, began, device, index))
    return slices
