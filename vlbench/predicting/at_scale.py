"""The span of a tower that was counted by its layers."""

from vlbench.counting.scaled import Scaled
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.pays import MICRO
from vlbench.predicting.timeline import forward_of, simulate, why_untold, without_time, worlds
from vlbench.record.at_scale import PredictedSpan

WORKER = "vlbench.predicting.at_scale_worker"
"""Counts rows at scale, and predicts each for the boards of its job."""
GPU = "h100"


def predicted_span(found: Scaled, kernels: Kernels) -> PredictedSpan:
    """Of the second forward, under every host and error of the tables."""
    forward = forward_of(found.chunks("warm"), kernels)
    gpu, (_, share) = kernels.board.name, without_time(forward)
    if untold := why_untold(share):
        return PredictedSpan(gpu=gpu, failed=untold)
    spans = [simulate(forward, world).span * MICRO for world in worlds(kernels.hosts)]
    return PredictedSpan(gpu=gpu, spans=tuple(spans))
