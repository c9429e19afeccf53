"""How a seam is measured alone: its ladder of sizes, what is fed in, and how one of its ways is called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized.seam import Seam
from vlbench.implementations.output import Parts, VisionOutput

CONTENTS = 3
"""Inputs of different contents that take turns."""

Way = Callable[..., Tensor | VisionOutput | tuple[Tensor, ...]]


@dataclass(frozen=True)
class Setting:
    """For which model, where, and from which seed inputs are made."""

    config: VisionConfig
    dtype: torch.dtype
    device: torch.device
    draw: torch.Generator

    def noise(self, *shape: int) -> Tensor:
        """Normally distributed values in the timed dtype, on the device."""
        return torch.randn(shape, generator=self.draw).to(self.device, self.dtype)


class Loss(NamedTuple):
    """What leaving tokens out costs the result."""

    retained: float
    """The share of tokens that stays."""
    cosine_error: float
    """Mean of 1 - cosine between a token that is left out and the one that stands in for it."""


@dataclass(frozen=True)
class LeavingOut:
    """How outputs of a way that leaves tokens out are held against the naive way's, part by part."""

    put_back: Callable[[Parts, Parts], Parts]
    """(its output, the naive way's) to its output with what it lacks from there. OutputError where they do not fit."""
    loss: Callable[[Parts, Parts], Loss]
    """Of the same two."""


@dataclass(frozen=True)
class SeamInputs:
    """What the ways of a seam are called with at one size."""

    arguments: Sequence[tuple[Tensor, ...]]
    """CONTENTS of them, of the same shapes; floating values in the timed dtype."""
    way: Callable[[frozenset[str], torch.dtype], Way]
    """The way that these flags name (the naive one for none), for arguments of this dtype.

    It may write into its arguments, or give views of them: every call gets copies, made outside of its time.
    """
    leaving_out: LeavingOut | None = None
    """Where a result-changing way leaves tokens out. What stays has to be what the naive way has there."""


Make = Callable[[int, Setting], SeamInputs]


@dataclass(frozen=True)
class SeamCase:
    """One name that `--seam` takes."""

    name: str
    title: str
    """What one call does."""
    seams: tuple[Seam[Any], ...]
    """Where the rows' flags come from."""
    sizes: dict[str, int]
    """The ladder: sizes by label."""
    make: Make
    needs_gpu: bool


CASES: dict[str, SeamCase] = {}


def seam_case(name: str, *seams: Seam[Any], sizes: dict[str, int], needs_gpu: bool = False) -> Callable[[Make], Make]:
    """Register the function that makes a seam's inputs; the first line of its docstring says what one call does."""

    def register(make: Make) -> Make:
        title = (make.__doc__ or name).strip().splitlines()[0].removesuffix(".")  # -OO leaves docstrings out
        CASES[name] = SeamCase(name, title, seams, sizes, make, needs_gpu)
        return make

    return register
