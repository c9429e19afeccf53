"""From host to device: how one tensor is copied, how several are, and when memory is pinned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .advice import INDEXING, InCapture, InCode
from .seam import Exactness, Seam, on_cuda, with_windows

Make = Callable[[Tensor], Tensor]
"""Makes a host tensor like another, without values."""
SendAll = Callable[[dict[str, Tensor], Callable[[Tensor], Tensor]], dict[str, Tensor]]

pinning: Seam[Make] = Seam("pinning")


@pinning.naive
def pageable(like: Tensor) -> Tensor:
    """Ordinary memory: what is scattered into it is copied into pinned memory before it is sent from there."""
    return torch.empty_like(like)


@pinning.optimization(
    "inverse-pinned",
    removes="a host copy of each inverse made on the host: it is scattered straight into pinned memory",
    exactness=Exactness.BIT_EXACT,
    source="vLLM invert_permutation",
    applies=(on_cuda, with_windows),
    requires=("pinned-h2d",),
    beside=("host-inverse",),
    formerly=("skip-repin",),
)
def pinned(like: Tensor) -> Tensor:
    """Memory that the device reads by itself."""
    return torch.empty_like(like, pin_memory=True)


def pin(tensor: Tensor) -> Tensor:
    """The tensor itself where it is pinned, as torch's `pin_memory` has it, else a fresh pinned copy.

    The caching host allocator keeps that alive until the copy to the device has run.
    """
    return tensor if tensor.is_pinned() else torch.empty_like(tensor, pin_memory=True).copy_(tensor)


upload: Seam[type[Pageable]] = Seam("host to device")


@upload.naive
class Pageable:
    """A copy from pageable memory: the driver stages it, and the host waits."""

    def __call__(self, tensor: Tensor, device: torch.device) -> Tensor:
        return tensor.to(device)

    def indices(self, indices: Tensor, device: torch.device) -> Tensor:
        """Indices on their way to a look-up: left on the host, where indexing copies them by itself."""
        return indices


@upload.optimization(
    "pinned-h2d",
    removes="the wait for each copy that the plan sends, the position ids among them, which it then sends itself",
    exactness=Exactness.BIT_EXACT,
    source="vLLM async_tensor_h2d, #54266; TensorRT-LLM #11943",
    applies=(on_cuda,),
    advice=(
        InCode("send the index beforehand, through pinned memory", "implicit upload", INDEXING, floats=False, rank=1),
        InCode("upload from pinned memory, with non_blocking=True", "upload", rank=1),
        InCapture("pageable uploads", "each is staged by the driver and may block the host", copy=r"^HtoD pageable"),
    ),
)
class Pinned(Pageable):
    """Through pinned memory, without waiting. A tensor that is on a device already only passes through."""

    def __call__(self, tensor: Tensor, device: torch.device) -> Tensor:
        if tensor.device.type != "cpu":
            return tensor.to(device)
        return pin(tensor).to(device, non_blocking=True)

    def indices(self, indices: Tensor, device: torch.device) -> Tensor:
        """Sent as any tensor is."""
        return self(indices, device)


shipment: Seam[SendAll] = Seam("shipment")


@shipment.naive
def one_by_one(tensors: dict[str, Tensor], send: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """A copy for each."""
    return {name: send(tensor) for name, tensor in tensors.items()}


@shipment.optimization(
    "packed-h2d",
    removes="all copies of the window order and the bounds but one; the grid, where it is sent, goes by itself",
    exactness=Exactness.BIT_EXACT,
    source="vLLM mrope_vit_setup",
    applies=(on_cuda,),
    advice=(
        InCapture(
            "small uploads",
            "one packed copy can carry all integer metadata",
            least=4,
            copy=r"^HtoD",
            most_bytes=1 << 20,
        ),
    ),
)
def packed(tensors: dict[str, Tensor], send: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """One buffer of bytes, one copy, and views of it. Tensors that are on the device already stay there."""
    here = {name: tensor for name, tensor in tensors.items() if tensor.device.type == "cpu"}
    if not here:
        return tensors
    # Widest elements first, so that every view starts at a multiple of its element size.
    order = sorted(here.items(), key=lambda entry: -entry[1].element_size())
    buffer = send(torch.cat([tensor.contiguous().view(torch.uint8) for _, tensor in order]))
    sent, start = {}, 0
    for name, tensor in order:
        sent[name] = buffer[start : start + tensor.nbytes].view(tensor.dtype)
        start += tensor.nbytes
    return {name: sent.get(name, tensor) for name, tensor in tensors.items()}
