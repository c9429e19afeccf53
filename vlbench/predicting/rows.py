"""From the events of a forward to the predicted row of a board."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from vlbench.counting.layers import Chunk
from vlbench.predicting.kernels import By, Kernels, Took
from vlbench.predicting.pays import MICRO, pays
from vlbench.predicting.predicted import Band, Predicted, StageTime
from vlbench.predicting.timeline import (
    Forward,
    Timeline,
    forward_of,
    middle,
    outer,
    replayed,
    simulate,
    why_untold,
    without_time,
    worlds,
)
from vlbench.record.sequence import Event, ForwardName

_NUMBER = re.compile(r"\[\d*\]")


@dataclass
class Simulated:
    """One row's forward on one board, in every world."""

    name: str
    tower: str
    gpu: str
    which: ForwardName
    kernels: Kernels
    forward: Forward
    runs: list[Timeline]
    """In the order of `worlds`."""
    events: Callable[[], Sequence[Event]] = tuple
    """Makes them all, each with the number of its block."""

    @property
    def number(self) -> int:
        """Of its events."""
        return sum(len(each.steps) for each in self.forward)


def simulated(name: str, tower: str, which: ForwardName, chunks: Iterable[Chunk], kernels: Kernels) -> Simulated:
    """The forward in every world."""
    forward = forward_of(chunks, kernels)
    runs = [simulate(forward, world) for world in worlds(kernels.hosts)]
    return Simulated(name, tower, kernels.board.name, which, kernels, forward, runs)


def row_of(found: Simulated, reference: Simulated | None, floor: Took | None) -> Predicted:
    """The row as it is kept, with its ratio to `reference` in pairs; no times where too much of it has none."""
    named, share = without_time(found.forward)
    in_graphs, why = replayed(found.forward)
    if in_graphs and found.which == "cold":
        why = "its first call captures a CUDA graph, and what that takes is not in the tables; predict the warm one"
    row = Predicted(
        row=found.name,
        tower=found.tower,
        gpu=found.gpu,
        forward=found.which,
        events=found.number,
        floor=None if floor is None else Band(low=floor.low * MICRO, high=floor.high * MICRO),
        replayed=in_graphs,
        notes=notes(found.forward),
        not_predicted=named,
        not_predicted_share=share,
    )
    untold = why or why_untold(share)
    if untold or not any(run.span for run in found.runs):
        return row.model_copy(update={"failed": untold or "it asks nothing of the GPU"})
    runs, hosts = found.runs, found.kernels.hosts
    ends = outer(hosts)
    by_world = {world.name: run.span for world, run in zip(worlds(hosts), runs, strict=True)}
    spans = [by_world[world.name] for world in ends]
    told_too = {
        "span": band(run.span * MICRO for run in runs),
        "central": geometric_mean(simulate(found.forward, world).span * MICRO for world in middle(hosts)),
        "busy": band(run.busy * MICRO for run in runs),
        "idle": band(run.idle for run in runs),
        "stages": tuple(_stages(runs)),
        "pays": tuple(pays(found.forward, found.kernels, ends, spans)),
    }
    if floor is not None:
        floors = [floor.low if world.error[By.PRODUCT] == "low" else floor.high for world in ends]
        told_too["of_floor"] = band(least / span for least, span in zip(floors, spans, strict=True))
    if reference is not None:
        told_too["against"] = reference.name
        told_too["ratio"] = band(a.span / b.span for a, b in zip(reference.runs, runs, strict=True))
    return row.model_copy(update=told_too)


def notes(forward: Forward) -> dict[str, int]:
    """What is to be said of times beside their errors, and of how many."""
    named: Counter[str] = Counter()
    for stretch, times in Counter(forward).items():
        for step in stretch.steps:
            if step.took is not None and step.took.note:
                named[step.took.note] += times
    return dict(named.most_common())


def band(values: Iterable[float]) -> Band:
    """From the least of them to the most."""
    listed = list(values)
    return Band(low=min(listed), high=max(listed))


def _stages(runs: Sequence[Timeline]) -> list[StageTime]:
    """By stage, blocks together, in order of appearance."""
    summed: list[dict[str, list[float]]] = []
    for run in runs:
        by: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for name, stage in run.stages.items():
            both = by[_NUMBER.sub("[*]", name)]
            both[0] += stage.span * MICRO
            both[1] += stage.busy * MICRO
        summed.append(by)
    return [
        StageTime(stage=name, span=band(each[name][0] for each in summed), busy=band(each[name][1] for each in summed))
        for name in summed[0]
    ]
