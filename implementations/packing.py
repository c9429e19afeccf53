"""Which images and frames share a forward, and in a graph of which size. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

Grid = tuple[int, int, int]
MERGE_UNIT = 4
"""Patches of a token."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames `start` to `stop` of an item. Frames see nothing of each other in the tower, so a video can be parted."""

    item: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Pack:
    """What goes into one forward."""

    pieces: tuple[Piece, ...]
    """In the order of the input."""
    patches: int
    frames: int
    budget: int | None
    """Patches that the graph has room for; None: none has enough, and the forward runs without one."""

    @property
    def padding(self) -> int:
        """Patches that are computed and belong to nobody."""
        return self.budget - self.patches if self.budget else 0


def powers_of_two(least: int, most: int) -> tuple[int, ...]:
    """Budgets that double, from `least` to `most` patches."""
    return tuple(least << step for step in range((most // least).bit_length()))


@dataclass(frozen=True)
class Budgets:
    """The sizes of graph that there are. Raises ValueError for one that is no size."""

    patches: tuple[int, ...] = field(default_factory=lambda: powers_of_two(64 * MERGE_UNIT, 8192 * MERGE_UNIT))
    """As vLLM has them by default: from 64 tokens to 8,192."""
    most_padding: float = 1.0
    """Share of a graph's patches that may belong to nobody; what would need more runs without a graph."""

    def __post_init__(self) -> None:
        if not self.patches or any(size <= 0 or size % MERGE_UNIT for size in self.patches):
            raise ValueError(f"budgets are {self.patches}; give multiples of {MERGE_UNIT} patches, a token each")
        if not 0 <= self.most_padding <= 1:
            raise ValueError(f"most_padding is {self.most_padding}; give a share from 0 to 1")
        object.__setattr__(self, "patches", tuple(sorted(set(self.patches))))

    def frames(self, budget: int) -> int:
        """Images and frames that a graph has room for: an icon of four tokens in every sixteen."""
        return max(4, budget // (16 * MERGE_UNIT))

    def holds(self, patches: int, frames: int) -> bool:
        """Is there a graph with that much room?"""
        return patches <= self.patches[-1] and frames <= self.frames(self.patches[-1])

    def smallest(self, patches: int, frames: int) -> int | None:
        """The smallest graph with that much room; None where there is none, or too much of it would be padding."""
        fits = (size for size in self.patches if patches <= size and frames <= self.frames(size))
        size = next(fits, None)
        return None if size is None or (size - patches) / size > self.most_padding else size


def pack(grids: Sequence[Grid], budgets: Budgets) -> list[Pack]:
    """Every frame of these items once, greedily: smallest first, as many as the largest graph takes.

    A frame that no graph has room for is alone in a forward without one.
    """
    frames = sorted((h * w, item, frame) for item, (t, h, w) in enumerate(grids) for frame in range(t))
    packs: list[Pack] = []
    held: list[tuple[int, int, int]] = []
    patches = 0
    for each in frames:
        if held and not budgets.holds(patches + each[0], len(held) + 1):
            packs.append(_pack(held, budgets))
            held, patches = [], 0
        held.append(each)
        patches += each[0]
    return [*packs, _pack(held, budgets)] if held else packs


def _pack(frames: Iterable[tuple[int, int, int]], budgets: Budgets) -> Pack:
    """Frames (patches, item, number) as one forward; neighbours of one item are one piece."""
    ordered = sorted(frames, key=lambda frame: frame[1:])
    pieces = []
    for _, run in groupby(enumerate(ordered), key=lambda each: (each[1][1], each[1][2] - each[0])):
        found = [frame for _, frame in run]
        pieces.append(Piece(found[0][1], found[0][2], found[-1][2] + 1))
    patches = sum(size for size, _, _ in ordered)
    return Pack(tuple(pieces), patches, len(ordered), budgets.smallest(patches, len(ordered)))
