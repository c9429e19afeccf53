"""The plan: all that follows from the grids, made once per forward, or before it, and consumed by every block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..config import VisionConfig
from ..stage import stage
from .attention import attention
from .cache import ByteCache
from .grids import Grid, Grids, grids
from .inverse import inverse, scatter_inverse
from .position_ids import ids_reuse, position_ids
from .positions import Positions, position_embedding
from .rope import Rope, rope_reuse, rope_rows, rope_sharing
from .seam import FlagSet
from .segments import Segments, longest_segment, segment_batches, segment_bounds
from .transfer import pinning, shipment, upload
from .windows import ItemWindows, arrangement, group_by_size, window_cut, window_reuse


class PlanError(ValueError):
    """A plan that is handed in is not one for this call; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class MadeFor:
    """The calls that a plan was made for: all of it is known on the host, so that comparing waits for nothing."""

    grids: tuple[Grid, ...]
    device: torch.device
    dtype: torch.dtype
    flags: FlagSet
    """With the tower's configuration."""

    def check(self, pixels: Tensor, grid_thw: Tensor, flags: FlagSet) -> None:
        """Is this the call of a tower with `flags` on `pixels` and `grid_thw` [items, 3]? Raises PlanError."""
        if isinstance(grid_thw, Tensor) and grid_thw.device.type != "cpu":
            raise PlanError(
                f"the grids beside a plan are on {grid_thw.device}, where to compare them would be a wait; "
                "give them on the host"
            )
        if (grids := as_grids(grid_thw)) != self.grids:
            raise _other("the grids", _grids_in_words(self.grids), _grids_in_words(grids))
        if len(pixels) != (patches := sum(t * h * w for t, h, w in grids)):
            raise PlanError(f"the grids hold {patches} patches, and the pixels {len(pixels)}; give its own")
        if pixels.device != self.device:
            raise _other("the device", self.device, pixels.device)
        if pixels.dtype != self.dtype:
            raise _other("the dtype", self.dtype, pixels.dtype)
        if flags != self.flags:
            raise _other("the tower", _tower_in_words(self.flags), _tower_in_words(flags))


def as_grids(grid_thw: Tensor) -> tuple[Grid, ...]:
    """Grids [items, 3] as plain numbers; of a tensor on a device that is a wait. Raises PlanError for others."""
    if not isinstance(grid_thw, Tensor):
        raise PlanError(f"the grids are a {type(grid_thw).__name__}; give a tensor [items, 3] of whole numbers")
    if grid_thw.ndim != 2 or grid_thw.shape[1] != 3 or not len(grid_thw) or grid_thw.is_floating_point():
        told = f"{list(grid_thw.shape)} of {grid_thw.dtype}"
        raise PlanError(f"the grids are {told}; give a tensor [items, 3] of whole numbers, with an item at least")
    return tuple((t, h, w) for t, h, w in grid_thw.tolist())


def _other(what: str, planned: object, found: object) -> PlanError:
    return PlanError(f"{what} of the plan: {planned}, and of this call: {found}; make one for it by tower.plan(...)")


def _grids_in_words(grids: tuple[Grid, ...]) -> str:
    shown = ["x".join(map(str, grid)) for grid in grids[:MOST_SHOWN]]
    return ", ".join([*shown, f"{len(grids) - MOST_SHOWN} more"] if len(grids) > MOST_SHOWN else shown)


MOST_SHOWN = 4
"""Grids in a sentence."""


def _tower_in_words(flags: FlagSet) -> str:
    return f"{flags.config.name} with {'+'.join(sorted(flags.names)) or 'no flags'}"


@dataclass(frozen=True, slots=True)
class VisionPlan:
    """What the forward needs to know of its grids."""

    rope: Rope
    """In the order of the hidden states."""
    frames: Segments
    """For blocks that attend over a whole frame."""
    windows: Segments | None
    """For blocks that attend inside windows."""
    window_index: Tensor | None
    """[N / 4] the hidden states' order in terms of the input's merged cells; None: the input's own."""
    inverse: Tensor | None
    """[N / 4] the way back."""
    positions: Positions | None = None
    """The learned positions in the input's order; None without a table of them."""
    made_for: MadeFor | None = field(default=None, init=False)
    """What it may be handed in to; None where it never leaves its forward, and after `dataclasses.replace`."""

    def bound_to(self, made_for: MadeFor) -> VisionPlan:
        """The same, to be handed in to these calls."""
        bound = replace(self)
        object.__setattr__(bound, "made_for", made_for)
        return bound

    def on_host(self) -> VisionPlan:
        """The same with the bounds of its segments on the host, which reads back those on the device."""
        windows = self.windows.on_host() if self.windows else None
        return replace(self, frames=self.frames.on_host(), windows=windows)

    def check(self, pixels: Tensor, grid_thw: Tensor, flags: FlagSet) -> None:
        """May it be handed in to this call? Raises PlanError."""
        if self.made_for is None:
            raise PlanError("the plan does not say what it was made for; make it by tower.plan(...)")
        self.made_for.check(pixels, grid_thw, flags)


def check_plan(plan: object, pixels: Tensor, grid_thw: Tensor, flags: FlagSet) -> None:
    """May it be handed in to this call? Raises PlanError."""
    if not isinstance(plan, VisionPlan):
        raise PlanError(f"the plan is a {type(plan).__name__}; make it by tower.plan(...)")
    plan.check(pixels, grid_thw, flags)


class Planner(nn.Module):
    """Makes the plan through the seams that the flags chose."""

    def __init__(self, config: VisionConfig, flags: FlagSet) -> None:
        super().__init__()
        self.config = config
        self.rows = rope_rows.way(flags)(config)
        self.grids = grids.way(flags)
        self.upload = upload.way(flags)()
        self.ids = ids_reuse.way(flags)(position_ids.way(flags), config.spatial_merge_size)
        self.rope = rope_reuse.way(flags)(
            self.rows, self.ids, rope_sharing.way(flags), config.spatial_merge_size, self.upload
        )
        self.positions = position_embedding.way(flags)(config) if config.position_table else None
        self.send_all = shipment.way(flags)
        self.bounds = segment_bounds.way(flags)()
        self.batches = segment_batches.way(flags)
        self.longest = longest_segment.way(flags)
        self.cut = window_cut.way(flags)()
        self.arrangement = arrangement.way(flags)(config.merge_unit)
        self.windows = window_reuse.way(flags)(self._item_windows)
        self.inverse = inverse.way(flags)()
        self.make = pinning.way(flags)
        self.wants_runs = attention.way(flags).wants_runs
        self.sends_bounds = self.bounds.on_device or attention.way(flags).reads_bounds

    def forward(self, grid_thw: Tensor, device: torch.device) -> VisionPlan:
        """Grids [items, 3] of (frames, rows, columns) in patches, on the host or on the device."""

        def send(tensor: Tensor) -> Tensor:
            return self.upload(tensor, device)

        grids = self.grids(grid_thw, send)
        frames = grids.frame_bounds()
        if self.config.window_size is None:
            sent = self.send_all(self._frames_to_send(frames, device), send)
            with stage("rope"):
                rope = self.rope(grids, None, None)
            plan = VisionPlan(rope, self._segments(frames, sent.get("frames", frames)), None, None, None)
        else:
            plan = self._windowed(grids, frames, device, send)
        if self.positions is None:
            return plan
        with stage("positions"):
            return replace(plan, positions=self.positions.plan(grids, device, send))

    def _windowed(
        self, grids: Grids, frames: Tensor, device: torch.device, send: Callable[[Tensor], Tensor]
    ) -> VisionPlan:
        with stage("window_order"):
            order = self.arrangement.batch(self.windows(grids))
            gather, bounds = None, order.bounds
            if self.wants_runs and (grouped := group_by_size(order, self.config.merge_unit)):
                gather, bounds = grouped
            host = self._metadata(order.index, bounds, gather) | self._frames_to_send(frames, device)
            sent = self.send_all(host, send)
            index = sent["index"]
            moved = sent.get("gather"), sent.get("scatter")
            windows = self._segments(bounds, sent.get("windows", bounds), *moved, tidy=self.cut.tidy)
            back = sent["inverse"] if "inverse" in sent else self.inverse.on_device(index)
        with stage("rope"):
            rope = self.rope(grids, order, index)
        mixed = self.arrangement.mixes_frames and frames.shape[0] > 2
        whole = self._segments(frames, sent.get("frames", frames), *((back, index) if mixed else ()))
        return VisionPlan(rope, whole, windows, index, back)

    def caches(self) -> dict[str, ByteCache[Any, Any]]:
        """The planner's caches by the name of what they keep."""
        found: dict[str, list[ByteCache[Any, Any]]] = {
            "rope": self.rope.caches(),
            "windows": self.windows.caches(),
            "rope table": self.rows.caches(),
            "position ids": self.ids.caches(),
            "positions": self.positions.caches() if self.positions else [],
        }
        return {name: cache for name, caches in found.items() for cache in caches}

    def _frames_to_send(self, frames: Tensor, device: torch.device) -> dict[str, Tensor]:
        return {"frames": frames} if self.sends_bounds and frames.device != device else {}

    def _metadata(self, index: Tensor, bounds: Tensor, gather: Tensor | None) -> dict[str, Tensor]:
        """What the window order needs on the device."""
        host = {"index": index}
        if self.sends_bounds:
            host["windows"] = self.bounds.tidied(bounds)
        if (back := self.inverse.on_host(index, self.make)) is not None:
            host["inverse"] = back
        if gather is not None:
            host |= {"gather": gather, "scatter": scatter_inverse(gather, self.make)}
        return host

    def _segments(
        self,
        made: Tensor,
        sent: Tensor,
        gather: Tensor | None = None,
        scatter: Tensor | None = None,
        tidy: Callable[[Tensor], Tensor] = lambda bounds: bounds,
    ) -> Segments:
        """`made`: the bounds where they came to be; `sent`: where they went, if they did."""
        final = self.bounds.final(sent if self.bounds.on_device else made, tidy)
        return Segments(final, gather, scatter, self.batches, sent, self.longest(made))

    def _item_windows(self, grid: Grid) -> ItemWindows:
        t, h, w = grid
        merge, side = self.config.spatial_merge_size, self.config.window_cells
        return self.arrangement.item(self.cut.cut(t, h // merge, w // merge, side))
