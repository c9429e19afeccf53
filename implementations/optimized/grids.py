"""Where the grid lives: read back from the device scalar by scalar, or kept on the host."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .advice import GRID, REPEATS, SCALAR, STREAM_SYNCS, UPLOADED_GRID, WHOLE, InCapture, InCode
from .seam import Exactness, Seam

Grid = tuple[int, int, int]
"""Frames (after temporal patching), rows and columns of one image or video, in patches."""


class Grids(Protocol):
    """The grids of a batch."""

    def __init__(self, grid_thw: Tensor, upload: Callable[[Tensor], Tensor]) -> None: ...

    def __iter__(self) -> Iterator[Grid]: ...

    def longest_side(self) -> int:
        """Of all rows and columns, in patches."""

    def frame_bounds(self) -> Tensor:
        """Bounds of the frames in patches, int32, [0, ..., N]; on the device or on the host."""


grids: Seam[type[Grids]] = Seam("grids")


@grids.naive
class DeviceGrids:
    """The grid tensor goes to the device, and every look at a size reads a scalar back: a sync each."""

    def __init__(self, grid_thw: Tensor, upload: Callable[[Tensor], Tensor]) -> None:
        self.grid_thw = upload(grid_thw)

    def __iter__(self) -> Iterator[Grid]:
        for t, h, w in self.grid_thw:
            yield int(t), int(h), int(w)

    def longest_side(self) -> int:
        return int(self.grid_thw[:, 1:].max())

    def frame_bounds(self) -> Tensor:
        frames = torch.repeat_interleave(self.grid_thw[:, 1] * self.grid_thw[:, 2], self.grid_thw[:, 0])
        return F.pad(frames.cumsum(0, dtype=torch.int32), (1, 0))


@grids.optimization(
    "host-grid",
    removes="a read-back (a host sync) for every size looked at; bounds of frames are sent in place of the grid",
    exactness=Exactness.BIT_EXACT,
    source="vLLM keep_on_cpu (#24334, after #14684); TensorRT-LLM takes a list",
    advice=(
        InCode("keep the grid on the host, and repeat it there", "read-back", REPEATS, GRID),
        InCode("keep the grid on the host", "read-back", SCALAR | WHOLE, GRID, False, 3),
        InCode("keep the grid on the host", "upload", None, UPLOADED_GRID, False),
        InCapture(
            "stream synchronizations", "a few values are read back; keep the grid on the host", most=7, api=STREAM_SYNCS
        ),
    ),
)
class HostGrids:
    """The grid stays on the host as a list; one read-back in all if the caller keeps it on the device."""

    def __init__(self, grid_thw: Tensor, upload: Callable[[Tensor], Tensor]) -> None:
        self.items: list[Grid] = [(t, h, w) for t, h, w in grid_thw.tolist()]

    def __iter__(self) -> Iterator[Grid]:
        return iter(self.items)

    def longest_side(self) -> int:
        return max(max(h, w) for _, h, w in self.items)

    def frame_bounds(self) -> Tensor:
        lengths = (h * w for t, h, w in self.items for _ in range(t))
        return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
