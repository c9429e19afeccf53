"""From host to device: how one tensor is copied, how several are, and when memory is pinned."""

from collections.abc import Callable

import torch
from torch import Tensor

from .advice import INDEXING, InCapture, InCode
from .seam import Exactness, Seam, on_cuda

Upload = Callable[[Tensor, torch.device], Tensor]
Pin = Callable[[Tensor], Tensor]
SendAll = Callable[[dict[str, Tensor], Callable[[Tensor], Tensor]], dict[str, Tensor]]

pinning: Seam[Pin] = Seam("pinning")


@pinning.naive
def pin_always(tensor: Tensor) -> Tensor:
    """A fresh pinned copy. The caching host allocator keeps it alive until the copy to the device has run."""
    return torch.empty_like(tensor, pin_memory=True).copy_(tensor)


@pinning.optimization(
    "skip-repin",
    removes="the host copy of a tensor that is pinned already: in this tower none is, so it shows in its seam alone",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #11943",
    applies=(on_cuda,),
    requires=("pinned-h2d",),
)
def pin_if_needed(tensor: Tensor) -> Tensor:
    """The tensor itself where it is pinned."""
    return tensor if tensor.is_pinned() else pin_always(tensor)


upload: Seam[Callable[[Pin], Upload]] = Seam("host to device")


@upload.naive
def pageable(pin: Pin) -> Upload:
    """A copy from pageable memory: the driver stages it, and the host waits."""
    return lambda tensor, device: tensor.to(device)


@upload.optimization(
    "pinned-h2d",
    removes="the wait of the host for each copy that the plan sends; the largest, of the position ids, stays",
    exactness=Exactness.BIT_EXACT,
    source="vLLM async_tensor_h2d; TensorRT-LLM #11943",
    applies=(on_cuda,),
    advice=(
        InCode("send the index beforehand, through pinned memory", "implicit upload", INDEXING, floats=False, rank=1),
        InCode("upload from pinned memory, with non_blocking=True", "upload", rank=1),
        InCapture("pageable uploads", "each is staged by the driver and may block the host", copy=r"^HtoD pageable"),
    ),
)
def pinned(pin: Pin) -> Upload:
    """Through pinned memory, without waiting. A tensor that is on a device already only passes through."""

    def copy(tensor: Tensor, device: torch.device) -> Tensor:
        if tensor.device.type != "cpu":
            return tensor.to(device)
        return pin(tensor).to(device, non_blocking=True)

    return copy


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
