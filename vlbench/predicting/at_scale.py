"""The span of a tower that was counted by its layers: a layer takes as long as one before that began as it does."""

from collections.abc import Hashable, Iterable, Sequence

from vlbench.counting.layers import Chunk
from vlbench.counting.scaled import Scaled
from vlbench.predicting.host import hosts
from vlbench.predicting.kernels import Kernels, moved_bytes
from vlbench.predicting.pays import MICRO
from vlbench.predicting.rows import MOST_UNKNOWN
from vlbench.predicting.timeline import Step, World, simulate, steps_of, worlds
from vlbench.record.at_scale import PredictedSpan
from vlbench.record.sequence import Kind

WORKER = "vlbench.predicting.at_scale_worker"
"""Counts rows at scale, and predicts each for the boards of its job."""
GPU = "h100"


def predicted_span(found: Scaled, kernels: Kernels) -> PredictedSpan:
    """Of the second forward, under every host and error of the tables."""
    chunks = list(found.chunks())
    steps = {key: steps_of(events, kernels) for key, events in dict(chunks).items()}
    gpu, share = kernels.board.name, _without_time([steps[key] for key, _ in chunks])
    if share > MOST_UNKNOWN:
        told = f"no time is predicted for {share:.0%} of the bytes that it moves; at most {MOST_UNKNOWN:.0%} may be so"
        return PredictedSpan(gpu=gpu, failed=told)
    spans = [span_of(chunks, steps, world) * MICRO for world in worlds(hosts())]
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


def _without_time(chunks: Sequence[Sequence[Step]]) -> float:
    """The share of the bytes of all operations that no table tells a time of."""
    missing = total = 0
    for step in (step for chunk in chunks for step in chunk):
        if step.event.kind is Kind.OPERATION and step.took:
            size = moved_bytes(step.event)
            total += size
            missing += size if step.took.why_not else 0
    return missing / total if total else 0.0
