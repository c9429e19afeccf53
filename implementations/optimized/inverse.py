"""The way back from window order: three ways to invert a permutation, with the same integers as a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from .seam import Exactness, Seam, with_windows


class Inverse(Protocol):
    """The permutation that undoes another, computed on the host before the upload or on the device after it."""

    def on_host(self, index: Tensor) -> Tensor | None: ...

    def on_device(self, index: Tensor) -> Tensor: ...


inverse: Seam[Callable[[], Inverse]] = Seam("inverse permutation", default="host-inverse")


def scatter_inverse(index: Tensor) -> Tensor:
    """Write i at place index[i]: O(n)."""
    result = torch.empty_like(index)
    result[index] = torch.arange(index.shape[0], device=index.device)
    return result


@inverse.naive
class ScatterOnDevice:
    """Empty, arange and scatter on the device."""

    def on_host(self, index: Tensor) -> Tensor | None:
        return None

    def on_device(self, index: Tensor) -> Tensor:
        return scatter_inverse(index)


@inverse.optimization(
    "argsort-inverse",
    removes="two of the three operations of the scatter (one sort instead; on a GPU several kernels above small sizes)",
    exactness=Exactness.BIT_EXACT,
    source="transformers; TensorRT-LLM #11943",
    applies=(with_windows,),
)
class ArgsortOnDevice:
    def on_host(self, index: Tensor) -> Tensor | None:
        return None

    def on_device(self, index: Tensor) -> Tensor:
        return torch.argsort(index)


@inverse.optimization(
    "host-inverse",
    removes="every device operation of the inverse, for one more row in the upload",
    exactness=Exactness.BIT_EXACT,
    source="vLLM invert_permutation",
    applies=(with_windows,),
)
class ScatterOnHost:
    def on_host(self, index: Tensor) -> Tensor | None:
        return scatter_inverse(index)

    def on_device(self, index: Tensor) -> Tensor:
        raise AssertionError("the inverse came with the upload")
