"""The span of a tower that was counted by its layers: a layer takes as long as one before that began as it does."""

from collections.abc import Hashable, Iterable

from vlbench.counting.layers import Chunk
from vlbench.counting.scaled import Scaled
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.pays import MICRO
from vlbench.predicting.timeline import Step, World, simulate, steps_of, why_untold, without_time, worlds
from vlbench.record.at_scale import PredictedSpan

WORKER = "vlbench.predicting.at_scale_worker"
"""Counts rows at scale, and predicts each for the boards of its job."""
GPU = "h100"


def predicted_span(found: Scaled, kernels: Kernels) -> PredictedSpan:
    """Of the second forward, under every host and error of the tables."""
    chunks = list(found.chunks())
    steps = {key: steps_of(events, kernels) for key, events in dict(chunks).items()}
    gpu, (_, share) = kernels.board.name, without_time(step for key, _ in chunks for step in steps[key])
    if untold := why_untold(share):
        return PredictedSpan(gpu=gpu, failed=untold)
    spans = [span_of(chunks, steps, world) * MICRO for world in worlds(kernels.hosts)]
    return PredictedSpan(gpu=gpu, spans=tuple(spans))


def span_of(chunks: Iterable[Chunk], steps: dict[Hashable, list[Step]], world: World) -> float:
    """Microseconds. What is left of the queue where a chunk begins decides how long it takes: each is run once."""
    known: dict[tuple[Hashable, float], tuple[float, float]] = {}
    host = ahead = 0.0
    for key, _ in chunks:
        begins = key, round(ahead, 6)
        if begins not in known:
            run = simulate(steps[key], world, ahead=ahead)
            known[begins] = run.span - run.ahead, run.ahead
        took, ahead = known[begins]
        host += took
    return host + ahead
