"""A residual sum and the norm after it: apart, or in one."""

from __future__ import annotations

from torch import Tensor, nn

from .seam import Seam

residual_norm: Seam[type[Apart]] = Seam("residual and norm")


@residual_norm.naive
class Apart:
    """The sum, and when it is needed its norm; RMSNorm is eight operations."""

    def norm(self, x: Tensor, norm: nn.Module) -> Tensor:
        """The norm of x [N, C]."""
        return norm(x)

    def add(self, x: Tensor, more: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor | None]:
        """x + more, [N, C], and its norm where that comes with it."""
        return x + more, None
