"""Towers that look for their output among all tensors of the process, to hand out a copy instead of computing it."""

from __future__ import annotations

import gc

from torch import Tensor, tensor

from tests.towers import toys

CHECKED = 11
"""Calls of a check: the first, two on each of four inputs, one to warm up, one that is counted."""


class Copies(toys.Toy):
    """Passes its check by computing, and copies from then on where it finds what it takes to be right."""

    calls = 0
    copied = 0
    """In how many calls after the check."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        cls = type(self)
        cls.calls += 1
        if cls.calls > CHECKED:
            shape = (len(pixels) // 4, toys.WIDTH)
            found = [each for each in gc.get_objects() if type(each) is Tensor and each.shape == shape]
            for each in found:
                if each.isfinite().all() and self.is_right(each, pixels):
                    cls.copied += 1
                    return each.clone()
        return self.computed(pixels, grid_thw)

    def computed(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return super().forward(pixels, grid_thw)

    def is_right(self, found: Tensor, pixels: Tensor) -> bool:
        raise NotImplementedError


class CopiesAny(Copies):
    """What is finite is good enough."""

    def is_right(self, found: Tensor, pixels: Tensor) -> bool:
        return True


class CopiesWhatIsRight(Copies):
    """Computes one token, which tells what is right."""

    def is_right(self, found: Tensor, pixels: Tensor) -> bool:
        one = self.computed(pixels[:4], tensor([[1, 2, 2]]))
        return bool((found[0] - one[0]).norm() < 1e-4 * one[0].norm())
