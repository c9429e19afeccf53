"""Tensors that loaded ones are parts of: joined for one product, or filled up with zeros to a width that suits it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights import SharedTensors


class Whole:
    """One tensor with `room` for each of its parts, one below the other, and zeros where a part is smaller.

    The parts become views of it: nothing is kept twice, and what is written into a part in place is seen at once.
    """

    def __init__(self, *room: int) -> None:
        self.room = room
        self.tensor: Tensor | None = None

    def of(self, *parts: Tensor) -> Tensor:
        """The tensor, made anew before the first use and once others took the parts' place."""
        if self.tensor is None or not self._holds(self.tensor, parts):
            return self.take(SharedTensors(), *parts)
        return self.tensor

    def take(self, shared: SharedTensors, *parts: Tensor) -> Tensor:
        """The tensor from `shared`, so that towers with the same weights have it once; the parts become views of it."""
        with torch.inference_mode(False), torch.no_grad():
            self.tensor = shared.joined(*parts, room=self.room)
            for part, place in zip(parts, self.tensor.chunk(len(parts)), strict=True):
                part.data = place[tuple(map(slice, part.shape))]
        return self.tensor

    def _holds(self, whole: Tensor, parts: tuple[Tensor, ...]) -> bool:
        start, step = whole.data_ptr(), whole.nbytes // len(parts)  # a start of 0: without memory
        return not start or all(part.data_ptr() == start + number * step for number, part in enumerate(parts))


class Widened(nn.Module):
    """A module that computes with tensors of which its loaded ones are parts."""

    def wholes(self) -> list[tuple[Whole, tuple[Tensor, ...]]]:
        """Each such tensor, and its parts."""
        raise NotImplementedError

    def tensors(self) -> list[Tensor]:
        """Those tensors, whatever was written into their parts."""
        return [whole.of(*parts) for whole, parts in self.wholes()]

    def derive(self, shared: SharedTensors) -> None:
        """Take them from `shared`."""
        for whole, parts in self.wholes():
            whole.take(shared, *parts)

    def _apply(self, fn: Any, recurse: bool = True) -> Widened:
        for whole, _ in self.wholes():
            whole.tensor = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class WideLinear(Widened, nn.Linear):
    """A linear of `inputs` to `outputs`, computed as one of `room`: so many outputs and inputs."""

    def __init__(self, inputs: int, outputs: int, room: tuple[int, int]) -> None:
        super().__init__(inputs, outputs)
        self.wide = Whole(*room), Whole(room[0])

    def wholes(self) -> list[tuple[Whole, tuple[Tensor, ...]]]:
        """Of its weight and of its bias."""
        weight, bias = self.wide
        return [(weight, (self.weight,)), (bias, (self.bias,))]

    def forward(self, x: Tensor) -> Tensor:
        """x [.., inputs in the room] to [.., outputs in the room]."""
        return F.linear(x, *self.tensors())
