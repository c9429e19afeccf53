"""Small towers with one habit each: the name of the class is the habit, `# HERE` marks its line."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlbench.implementations.adapted import Prepare
from vlbench.towers.tower import Tower

KERNELS = torch.library.Library("vlbench_toys", "DEF")
KERNELS.define("unruly(Tensor x) -> Tensor")
KERNELS.define("shaped(Tensor x) -> Tensor")
KERNELS.define("counted_up(Tensor x) -> Tensor")
KERNELS.impl("counted_up", lambda x: x + 1, "CPU")
torch.library.register_fake("vlbench_toys::shaped", torch.empty_like, lib=KERNELS)


class Toy(nn.Module):
    """Projects patches and averages four of them into a token."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(1176, 32)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = self.proj(pixels)
        return self.habit(x, grid_thw).view(-1, 4, 32).mean(1)

    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        return x


class LongestOnDevice(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        cu_seqlens = (grid_thw[:, 1] * grid_thw[:, 2]).cumsum(0)
        max_seqlen = cu_seqlens.max()
        x[: int(max_seqlen)]  # HERE
        return x


class MaskAssignment(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        mask = torch.arange(x.shape[0], device=x.device) % 2 == 0
        x[mask] = x[: x.shape[0] // 2].clone()  # HERE
        return x


class UnpinnedUpload(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        order = torch.arange(x.shape[0]).to(x.device, non_blocking=True)  # HERE
        return x[order]


class TolistInALoop(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        seqlens = grid_thw[:, 1] * grid_thw[:, 2]
        for _ in range(7):
            x.split(seqlens.tolist())  # HERE
        return x


class BoundsOnDevice(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        bounds = (grid_thw[:, 1] * grid_thw[:, 2]).cumsum(0)
        return torch.cat([x[: bounds[0]], x[bounds[0] :]])  # HERE


class HostIndex(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        pos_ids = torch.arange(x.shape[0])
        return x[pos_ids]  # HERE


class GridItems(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        for t, h, w in grid_thw:
            x[: t.item() * h.item() * w.item()]  # HERE
        return x


class Unruly(Toy):
    """Its kernel has no shape rule, so it cannot be counted."""

    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        result: Tensor = torch.ops.vlbench_toys.unruly(x)
        return result


class Shaped(Toy):
    """Its kernel has a fake, so it is one operation."""

    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        result: Tensor = torch.ops.vlbench_toys.shaped(x)
        return result


class Undeclared(Toy):
    """Its kernel can be computed, but has no fake, and nobody said what it is."""

    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        torch.ops.vlbench_toys.counted_up(grid_thw.to(x.device))
        return x


class ReadsFloats(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class ReadsTheSame(ReadsFloats):
    """Says the same of the same line."""


class Solves(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        torch.linalg.qr(x.float())
        return x


class Raises(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        raise RuntimeError("no luck today")


def compiled() -> nn.Module:
    tower = Toy()
    tower.proj.compile()
    return tower


def on_another_platform() -> Tower:
    return Tower(lambda device, dtype: Toy().to(device, dtype), platform="CPU platform")


def broken() -> nn.Module:
    raise OSError("no weights here")


class TakesLengths(Toy):
    """Takes the patches of each item, which follow from the grids."""

    def forward(self, pixels: Tensor, grid_thw: Tensor, lengths: Tensor | None = None) -> Tensor:
        return super().forward(pixels, grid_thw)


def planned(prepare: Prepare) -> Tower:
    return Tower(lambda device, dtype: TakesLengths().to(device, dtype), prepare=prepare)


NO_PLAN = planned(lambda module, grid_thw, host_lengths: None)  # type: ignore[arg-type, return-value]
ONE_PLAN = planned(lambda module, grid_thw, host_lengths: {"lengths": grid_thw.prod(1)})
"""Whatever is asked of it."""
