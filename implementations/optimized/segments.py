"""Attention segments: the frames and windows inside which patches see each other, and where their bounds live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .advice import LENGTHS, LONGEST, SCALAR, SLICE, STREAM_SYNCS, WHOLE, InCapture, InCode
from .seam import Exactness, Seam, with_cudnn, with_varlen


class Run(NamedTuple):
    """Neighbouring segments of equal length: the first patch, how many segments, patches in each."""

    start: int
    segments: int
    length: int


Batches = Callable[[int], list[range]]
"""How many equal segments stand side by side to those that are one batch each. All are in one; some may be in two."""

segment_batches: Seam[Batches] = Seam("segment batches")


@segment_batches.naive
def all_at_once(segments: int) -> list[range]:
    """One batch, of as many as there are."""
    return [range(segments)]


@segment_batches.optimization(
    "window-ladder",
    removes="cuDNN's plan for each new number of windows, for a second call: batches are powers of two",
    exactness=Exactness.REASSOCIATED,
    source="vlbench; vLLM #34580 and SGLang pad the batch of their cuDNN prefill",
    applies=(with_cudnn,),
    requires=("batched-windows",),
)
def powers_of_two(segments: int) -> list[range]:
    """The largest power of two, and for the rest the smallest that holds it, which reaches back into the first.

    So no window is padded and none is made up; fewer than a third are computed twice, where one padded batch would
    compute up to twice as many as there are. There are 11 such sizes up to 1,024 windows.
    """
    first = 1 << segments.bit_length() - 1
    if first == segments:
        return [range(first)]
    second = 1 << (segments - first - 1).bit_length()
    return [range(first), range(segments - second, segments)]


def read_back(bounds: Tensor) -> list[int]:
    """Bounds on the host, without those that repeat: between such two is an empty segment."""
    return list(dict.fromkeys(bounds.tolist()))


class Segments:
    """How one kind of block divides the patches, and in which order it wants them.

    `bounds` are [0, ..., N] in patches: a device tensor or a list. Where the hidden states stand in another order,
    `gather` and `scatter` ([N / 4] merged cells) bring q, k and v into the segments' order and the result back.
    `batches` says which equal segments are one run. `cu_seqlens` are the bounds where attention reads them, int32, and
    `longest` the patches in the longest segment: None where nobody has worked it out.
    """

    def __init__(
        self,
        bounds: Tensor | list[int],
        gather: Tensor | None = None,
        scatter: Tensor | None = None,
        batches: Batches = all_at_once,
        cu_seqlens: Tensor | None = None,
        longest: int | None = None,
    ) -> None:
        self.bounds: Sequence[int] | Tensor = bounds
        self.gather = gather
        self.scatter = scatter
        self.batches = batches
        self.cu_seqlens = bounds if isinstance(bounds, Tensor) else cu_seqlens
        self.longest = longest

    def on_host(self) -> Segments:
        """The same with bounds and the longest segment on the host, which reads back those on the device."""
        bounds = self.bounds
        host = read_back(bounds) if isinstance(bounds, Tensor) else list(bounds)
        longest = self.longest or max(stop - start for start, stop in pairwise(host))
        return Segments(host, self.gather, self.scatter, self.batches, self.cu_seqlens, longest)

    @cached_property
    def runs(self) -> list[Run]:
        """The segments as runs of equal length, of which one may reach back into the last. Needs bounds on the host."""
        if isinstance(self.bounds, Tensor):
            raise TypeError("runs need bounds on the host")
        lengths = (stop - start for start, stop in pairwise(self.bounds))
        runs: list[Run] = []
        start = 0
        for length, equal in groupby(lengths):
            count = len(list(equal))
            runs += [Run(start + batch.start * length, len(batch), length) for batch in self.batches(count)]
            start += count * length
        return runs


segment_bounds: Seam[type[DeviceBounds]] = Seam("segment bounds")


@segment_bounds.naive
class DeviceBounds:
    """On the device: every slice by a bound reads a scalar back, six syncs for q, k and v of one segment."""

    on_device = True
    """Must the bounds go to the device?"""

    def final(self, bounds: Tensor, tidy: Callable[[Tensor], Tensor]) -> Tensor | list[int]:
        """The bounds as attention reads them; `tidy` drops empty segments from a device tensor."""
        return tidy(bounds)

    def tidied(self, bounds: Tensor) -> Tensor:
        """The bounds that are sent, from those on the host."""
        return bounds


@segment_bounds.optimization(
    "host-seqlens",
    removes="six host syncs per attention segment: bounds become a Python list, made once per forward",
    exactness=Exactness.BIT_EXACT,
    source="vLLM #55882; TensorRT-LLM #11943; transformers #39870, #47703",
    advice=(
        InCode("slice by bounds that are Python integers", "read-back", SCALAR, SLICE, False),
        InCode("keep lengths and bounds on the host", "read-back", SCALAR | WHOLE, LENGTHS, False, 2),
        InCapture(
            "stream synchronizations",
            "several read-backs per attention segment, as when slices are bounded by device scalars",
            least=200,
            api=STREAM_SYNCS,
        ),
    ),
)
class HostBounds(DeviceBounds):
    """On the host. Where the grid lives on the device, this reads the frames' bounds back once."""

    on_device = False

    def final(self, bounds: Tensor, tidy: Callable[[Tensor], Tensor]) -> Tensor | list[int]:
        return read_back(bounds)

    def tidied(self, bounds: Tensor) -> Tensor:
        """Without empty segments, as the list is."""
        return torch.unique_consecutive(bounds)


Longest = Callable[[Tensor], int | None]
"""From the bounds where they were made to the patches in the longest segment; None: who wants it works it out."""

longest_segment: Seam[Longest] = Seam("longest segment")


@longest_segment.naive
def in_every_layer(bounds: Tensor) -> int | None:
    """Attention that wants it takes the largest difference of the bounds on the device, and waits for it."""
    return None


@longest_segment.optimization(
    "host-max-seqlen",
    removes="a host sync in every layer for the length of the longest segment, which is found once, on the host",
    exactness=Exactness.BIT_EXACT,
    source="vLLM #14377, lost and restored in #15273 and #37139",
    applies=(with_varlen,),
    requires=("varlen",),
    advice=(
        InCode(
            "take the longest sequence from the host's lengths, once", "read-back", SCALAR | WHOLE, LONGEST, False, 1
        ),
    ),
)
def once_on_host(bounds: Tensor) -> int | None:
    """Bounds that live on the device, as those of frames do without host-grid, are read back once."""
    return int(bounds.diff().max())
