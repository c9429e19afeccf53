"""From the bytes of still images on the host to the tower's first hidden states: what is sent to the device.

Processors repeat a still's one frame to fill its patch, normalise on the host and send floats. A linear map takes all
of that in. That an item is a still its sender knows; a grid does not tell: (1, h, w) may be two frames of a video.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..optimized.seam import Exactness, Seam
from ..preprocessing import Preprocessing

CENTRE = 128
"""Taken from each byte on the device, exactly: so the weight's rounding is not multiplied by a mean far from 0."""

still_frames: Seam[type[Repeated]] = Seam("still frames", in_tower=False)


@still_frames.naive
class Repeated:
    """The frame as often as a patch has frames."""

    def kernel(self, weight: Tensor) -> Tensor:
        """Of the projection [C, 3, frames, P, P] that part which meets what is sent."""
        return weight

    def sent(self, stills: Tensor, frames: int) -> Tensor:
        """Stills [N, 3, 1, P * P] with the frames that are sent."""
        return stills.expand(-1, -1, frames, -1)


@still_frames.optimization(
    "still-fold",
    removes="of still images half of the bytes sent and half of the first product: the weights of equal frames add up",
    exactness=Exactness.REASSOCIATED,
    source="vlbench; llama.cpp applies two convolutions to one frame",
)
class Folded(Repeated):
    """One frame, and a kernel of one frame, added up in fp32."""

    def kernel(self, weight: Tensor) -> Tensor:
        """[C, 3, 1, P, P]"""
        return weight.float().sum(2, keepdim=True)

    def sent(self, stills: Tensor, frames: int) -> Tensor:
        """They themselves."""
        return stills


pixel_format: Seam[type[Floats]] = Seam("pixels", in_tower=False)


@pixel_format.naive
class Floats:
    """Normalised on the host, sent in fp32 and cast on the device."""

    def __init__(self, fed: Preprocessing) -> None:
        self.mean, self.std = torch.tensor(fed.mean), torch.tensor(fed.std)

    def affine(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The projection's weight [C, 3, frames, P, P] and bias [C] for what `send` gives."""
        return weight, bias

    def send(self, rows: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Bytes [N, 3, frames, P * P] on the host to [N, 3 * frames * P * P] on the device."""
        mean, std = (255 * each.view(3, 1, 1) for each in (self.mean, self.std))
        return ((rows.float() - mean) / std).flatten(1).to(device).to(dtype)


@pixel_format.optimization(
    "uint8-pixels",
    removes="three of four bytes sent, and normalising on the host: mean and deviation are part of the first product",
    exactness=Exactness.REASSOCIATED,
    source="vlbench; vLLM normalises bytes on the device",
)
class Bytes(Floats):
    """(byte - CENTRE) times a weight that is divided by the deviation, and what is left of the mean in the bias."""

    def affine(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Both in fp32."""
        wide, shape = weight.float(), (3, 1, 1, 1)
        std, mean = self.std.to(wide.device), self.mean.to(wide.device)
        moved = (wide * ((CENTRE / 255 - mean) / std).view(shape)).sum((1, 2, 3, 4))
        return wide / (255 * std).view(shape), moved if bias is None else moved + bias.float()

    def send(self, rows: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """As bytes, which bf16 and fp16 hold exactly."""
        return rows.flatten(1).to(device).to(dtype) - CENTRE


class StillEmbedding:
    """The patch embedding of still images from their bytes, for the weights that the projection has now."""

    def __init__(self, proj: nn.Conv3d, frames: type[Repeated], pixels: type[Floats], fed: Preprocessing) -> None:
        self.frames, self.pixels = frames(), pixels(fed)
        self.fed, self.dtype, self.device = fed, proj.weight.dtype, proj.weight.device
        weight, bias = self.pixels.affine(self.frames.kernel(proj.weight), proj.bias)
        self.weight = weight.flatten(1).to(self.dtype)
        self.bias = None if bias is None else bias.to(self.dtype)

    def __call__(self, stills: Tensor) -> Tensor:
        """uint8 [N, 3 * P * P] on the host, a row a patch: channel, row, column. To [N, C] on the device."""
        rows = self.frames.sent(stills.view(len(stills), 3, 1, -1), self.fed.temporal_patch_size)
        return F.linear(self.pixels.send(rows, self.device, self.dtype), self.weight, self.bias)
