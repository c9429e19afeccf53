"""How a seam is measured alone: its ladder of sizes, what is fed in, and how one of its ways is called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized.seam import Seam

CONTENTS = 3
"""Inputs of different contents that take turns."""

Way = Callable[..., Tensor | tuple[Tensor, ...]]


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


@dataclass(frozen=True)
class SeamInputs:
    """What the ways of a seam are called with at one size."""

    arguments: Sequence[tuple[Tensor, ...]]
    """CONTENTS of them, of the same shapes; floating values in the timed dtype."""
    way: Callable[[frozenset[str], torch.dtype], Way]
    """The way that these flags name (the naive one for none), for arguments of this dtype.

    It may write into its arguments, or give views of them: every call gets copies, made outside of its time.
    """


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
