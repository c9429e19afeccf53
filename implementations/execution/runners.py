"""What captures a function and replays it: a CUDA graph, or the function itself where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..stage import REPLAYED, stage

Function = Callable[[], Sequence[Tensor]]
"""Reads tensors that stay where they are, and returns tensors."""


class Runner(Protocol):
    """A way to capture and to replay."""

    is_fixed: bool
    """Is what is captured fixed to the operations and the values on the host that it was captured with?"""

    def capture(self, function: Function) -> Function:
        """What replays `function` on whatever its tensors hold by then, and returns the same tensors each time."""


class EagerRunner:
    """Runs the function again, and keeps a replay's promise: the result is always in the same memory."""

    is_fixed = False

    def capture(self, function: Function) -> Function:
        """See `Runner`."""
        kept = [tensor.clone() for tensor in function()]

        def replay() -> Sequence[Tensor]:
            with stage(REPLAYED):
                for one, new in zip(kept, function(), strict=True):
                    one.copy_(new)
            return kept

        return replay


class CaptureRunner:
    """A CUDA graph. A few plain runs come first, on a stream of their own, so that nothing is set up in the capture."""

    is_fixed = True
    warm_ups = 2

    def capture(self, function: Function) -> Function:
        """See `Runner`."""
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(self.warm_ups):
                function()
        current.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = function()

        def replay() -> Sequence[Tensor]:
            graph.replay()
            return kept

        return replay


def runner_for(device: torch.device) -> Runner:
    """Captures where that is possible. A stand-in for a GPU, which counts or rehearses, has no graphs of torch's."""
    real = torch.cuda.CUDAGraph is torch.cuda.graphs.CUDAGraph and torch.version.cuda is not None
    return CaptureRunner() if device.type == "cuda" and real else EagerRunner()
