"""What would pay: a call simulated once more without some of its events."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vlbench.predicting.host import Act
from vlbench.predicting.kernels import By, Kernels
from vlbench.predicting.predicted import Band, Pay
from vlbench.predicting.timeline import Forward, Step, Stretch, World, simulate
from vlbench.record.sequence import Kind, attention_of

TRIED = 12
"""Changes that are simulated: those of the most events and kernel time."""
MICRO = 1e-6
Others = Mapping[Stretch, dict[int, Step | None]]
"""By stretch and place in it: what stands there instead, if anything."""


@dataclass(frozen=True)
class Change:
    """Some events are not there, or others stand in their place."""

    what: str
    left: Forward
    events: int
    """How many are gone."""
    weight: float
    """Microseconds that the gone events take by themselves, on a slow host."""


def pays(forward: Forward, kernels: Kernels, worlds: Sequence[World], spans: Sequence[float]) -> list[Pay]:
    """What each change saves, the most first; `spans` are those of `forward` in these worlds, in microseconds."""
    found = []
    changes = sorted(changes_of(forward, kernels, worlds[-1]), key=lambda change: -change.weight)
    for change in changes[:TRIED]:
        saved = [span - simulate(change.left, world).span for span, world in zip(spans, worlds, strict=True)]
        band = Band(low=min(saved) * MICRO, high=max(saved) * MICRO)
        found.append(Pay(what=change.what, events=change.events, saves=band))
    return sorted(found, key=lambda pay: -(pay.saves.low + pay.saves.high))


def changes_of(forward: Forward, kernels: Kernels, world: World) -> Iterator[Change]:
    """Without the waits and uploads of a line, all views, all host operations, all operations of a name; and attention
    in one call for each size."""
    times = Counter(forward)
    groups: dict[str, dict[Stretch, dict[int, Step | None]]] = defaultdict(lambda: defaultdict(dict))
    for stretch in times:
        for index, step in enumerate(stretch.steps):
            if name := _group(step):
                groups[name][stretch][index] = None
    for name, others in groups.items():
        change = _change(forward, times, others, world)
        yield replace(change, what=f"without {_counted(name, change.events)}")
    if batched := _batched(forward, kernels):
        change = _change(forward, times, batched, world)
        calls = sum(times[stretch] * len(instead) for stretch, instead in batched.items())
        yield replace(change, what=f"with {calls:,} attention calls as {calls - change.events:,}")


def _change(forward: Forward, times: Mapping[Stretch, int], others: Others, world: World) -> Change:
    """What is left with these steps in place of some."""
    new, events, weight = {}, 0, 0.0
    for stretch, instead in others.items():
        steps = [instead.get(index, step) for index, step in enumerate(stretch.steps)]
        new[stretch] = replace(stretch, steps=[each for each in steps if each is not None], effects={})
        gone = [index for index, each in instead.items() if each is None]
        events += times[stretch] * len(gone)
        weight += times[stretch] * sum(_weight(stretch.steps[index], world) for index in gone)
    return Change("", [new.get(stretch, stretch) for stretch in forward], events, weight)


def _group(step: Step) -> str:
    if step.event.replayed and not step.took:
        return ""
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


def _batched(forward: Forward, kernels: Kernels) -> Others:
    """One attention call for all of one size in a stage of a part, where the tables have that call."""
    alike: dict[Hashable, list[tuple[Stretch, int]]] = defaultdict(list)
    for stretch in dict.fromkeys(forward):
        for index, step in enumerate(stretch.steps):
            if len(calls := attention_of(step.event)) == 1:
                alike[stretch.part, stretch.stage, replace(calls[0], batch=1)].append((stretch, index))
    found: dict[Stretch, dict[int, Step | None]] = defaultdict(dict)
    for members in alike.values():
        if len(members) > 1:
            alone = [attention_of(stretch.steps[index].event)[0] for stretch, index in members]
            took = kernels.attended([replace(alone[0], batch=sum(call.batch for call in alone))])
            if not took.why_not:
                for place, (stretch, index) in enumerate(members):
                    found[stretch][index] = None if place else replace(stretch.steps[index], took=took)
    return found
