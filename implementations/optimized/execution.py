"""How the blocks of a tower are run: the seam, and the naive way. The others are in `execution/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from .cache import ByteCache
from .seam import Seam

if TYPE_CHECKING:
    from .plan import VisionPlan

execution: Seam[type[Eager]] = Seam("execution")


@execution.naive
class Eager:
    """Operation by operation, as Python reaches them."""

    def prepare(self, tower: Any) -> None:
        """Told of the tower once, when it is built and has no weights yet."""

    def __call__(
        self, tower: Any, pixels: Tensor, grid_thw: Tensor, plan: VisionPlan | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Tokens and the features of each level, from pixels and either grids or a plan of them."""
        return tower.encode(pixels, plan or tower.planned(grid_thw, pixels.device))

    def caches(self) -> dict[str, ByteCache[Any, Any]]:
        """What it keeps of calls."""
        return {}
