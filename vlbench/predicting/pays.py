"""What would pay: a call simulated once more without some of its events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from vlbench.predicting.host import Act
from vlbench.predicting.kernels import By, Kernels
from vlbench.predicting.predicted import Band, Pay
from vlbench.predicting.timeline import Step, World, simulate
from vlbench.record.sequence import Kind, attention_of

TRIED = 12
"""Changes that are simulated: those of the most events and kernel time."""
MICRO = 1e-6


@dataclass(frozen=True)
class Change:
    """Some events are not there, or others stand in their place."""

    what: str
    steps: Sequence[Step]
    """What is left."""
    events: int
    """How many are gone."""
    weight: float
    """Microseconds that the gone events take by themselves, on a slow host."""


def pays(steps: Sequence[Step], kernels: Kernels, worlds: Sequence[World], spans: Sequence[float]) -> list[Pay]:
    """What each change saves, the most first; `spans` are those of `steps` in these worlds, in microseconds."""
    found = []
    changes = sorted(changes_of(steps, kernels, worlds[-1]), key=lambda change: -change.weight)
    for change in changes[:TRIED]:
        saved = [span - simulate(change.steps, world).span for span, world in zip(spans, worlds, strict=True)]
        band = Band(low=min(saved) * MICRO, high=max(saved) * MICRO)
        found.append(Pay(what=change.what, events=change.events, saves=band))
    return sorted(found, key=lambda pay: -(pay.saves.low + pay.saves.high))


def changes_of(steps: Sequence[Step], kernels: Kernels, world: World) -> Iterator[Change]:
    """Without the waits and uploads of a line, all views, all host operations, all operations of a name; and attention
    in one call for each size."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, step in enumerate(steps):
        if name := _group(step):
            groups[name].append(index)
    for name, members in groups.items():
        gone = set(members)
        left = [step for index, step in enumerate(steps) if index not in gone]
        weight = sum(_weight(steps[index], world) for index in members)
        yield Change(f"without {_counted(name, len(members))}", left, len(members), weight)
    if batched := _batched(steps, kernels, world):
        yield batched


def _group(step: Step) -> str:
    at = f" at {step.event.line}" if step.event.line else ""
    match step.event.kind:
        case Kind.READ_BACK | Kind.WAIT:
            return f"{{}} wait{{s}}{at}"
        case Kind.UPLOAD:
            return f"{{}} upload{{s}}{at}"
        case Kind.VIEW:
            return "{} view{s}"
        case Kind.HOST:
            return "{} host operation{s}"
        case Kind.OPERATION if step.took is not None and step.took.by is By.BYTES:
            return f"{{}} {step.event.name.partition('.')[0]}"
    return ""


def _counted(name: str, number: int) -> str:
    """The group in words, with its number."""
    return name.format(f"the {number:,}" if number > 1 else "the one", s="s" if number > 1 else "")


def _weight(step: Step, world: World) -> float:
    took = step.took.high if step.took else 0.0
    after = world.host.us[Act.READ_BACK] if step.waits else 0.0
    return sum(world.host.us[act] for act in step.acts) + took + after


def _batched(steps: Sequence[Step], kernels: Kernels, world: World) -> Change | None:
    """One attention call for all of one size in a stage, where the tables have that call."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, step in enumerate(steps):
        if len(calls := attention_of(step.event)) == 1:
            alike[step.event.stage, replace(calls[0], batch=1)].append(index)
    merged: dict[int, Step | None] = {}
    for members in alike.values():
        if len(members) > 1:
            alone = [attention_of(steps[index].event)[0] for index in members]
            took = kernels.attended([replace(alone[0], batch=sum(call.batch for call in alone))])
            if not took.why_not:
                merged |= dict.fromkeys(members) | {members[0]: replace(steps[members[0]], took=took)}
    if not merged:
        return None
    left = [each for index, step in enumerate(steps) if (each := merged.get(index, step)) is not None]
    gone = len(steps) - len(left)
    weight = sum(_weight(steps[index], world) for index, each in merged.items() if each is None)
    calls_left = len(merged) - gone
    return Change(f"with {len(merged):,} attention calls as {calls_left:,}", left, gone, weight)
