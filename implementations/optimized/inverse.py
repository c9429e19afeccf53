"""The way back from window order: three ways to invert a permutation, with the same integers as a result."""

from __future__ import annotations

import torch
from torch import Tensor

from .seam import Exactness, Seam, with_windows
from .transfer import Make

inverse: Seam[type[ScatterOnDevice]] = Seam("inverse permutation", default="host-inverse")


def scatter_inverse(index: Tensor, make: Make = torch.empty_like) -> Tensor:
    """Write i at place index[i] of what `make` makes: O(n)."""
    result = make(index)
    result[index] = torch.arange(index.shape[0], device=index.device)
    return result


@inverse.naive
class ScatterOnDevice:
    """Empty, arange and scatter on the device."""

    def on_host(self, index: Tensor, make: Make = torch.empty_like) -> Tensor | None:
        """The permutation that undoes `index`, in memory that `make` makes; None where the device computes it."""
        return None

    def on_device(self, index: Tensor) -> Tensor:
        """The permutation that undoes `index`, after the upload."""
        return scatter_inverse(index)


@inverse.optimization(
    "argsort-inverse",
    removes="one of the two operations of the scatter: one sort, which is several kernels on a GPU above small sizes",
    exactness=Exactness.BIT_EXACT,
    source="transformers; TensorRT-LLM #11943",
    applies=(with_windows,),
)
class ArgsortOnDevice(ScatterOnDevice):
    """One sort on the device."""

    def on_device(self, index: Tensor) -> Tensor:
        return torch.argsort(index)


@inverse.optimization(
    "host-inverse",
    removes="both operations of the inverse, for one more upload: a wait, unless it is packed or pinned",
    exactness=Exactness.BIT_EXACT,
    source="vLLM invert_permutation",
    applies=(with_windows,),
)
class ScatterOnHost(ScatterOnDevice):
    """The scatter on the host, where the order is made."""

    def on_host(self, index: Tensor, make: Make = torch.empty_like) -> Tensor | None:
        return scatter_inverse(index, make)

    def on_device(self, index: Tensor) -> Tensor:
        raise AssertionError("the inverse came with the upload")
