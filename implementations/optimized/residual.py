"""The residual sums of a block and the norms after them: apart, or each pair in one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .seam import Seam

residual_norm: Seam[type[Apart]] = Seam("residual and norm")


@residual_norm.naive
class Apart:
    """The sum, and when it is needed its norm; RMSNorm is eight operations."""

    def __init__(self, norm: nn.Module, after: nn.Module) -> None:
        """`norm` is that of what comes into a block, and `after` that of the sum."""
        self.norm: Callable[[Tensor], Tensor] = norm
        self.after = after
        self.following: nn.Module | None = None
        """The norm that the next block begins with; None where there is none."""

    def add(self, x: Tensor, more: Tensor) -> tuple[Tensor, Tensor | None]:
        """x + more, [N, C], and its norm where that comes with it."""
        return x + more, None

    def end(self, x: Tensor, more: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same at the end of a block, with the norm that follows."""
        return x + more, None
