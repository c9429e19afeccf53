"""The shape of a vision tower: every released size, pinned by hand, and tiny ones for machines without a GPU.

The class defaults of transformers' configs are not the values of the released checkpoints (`Qwen2_5_VLVisionConfig`
defaults to a width of 3584), so no size here is taken from a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["qwen2_vl", "qwen2_5_vl"]


@dataclass(frozen=True)
class VisionConfig:
    """Everything that fixes a vision tower's parameters and its arithmetic."""

    name: str
    family: Family
    depth: int
    """Number of transformer blocks."""
    hidden_size: int
    """Width of the tower (Qwen2-VL's own config calls this `embed_dim`)."""
    num_heads: int
    intermediate_size: int
    """Width inside the MLP."""
    out_hidden_size: int
    """Width of the language model, that is of the output (Qwen2-VL's own config calls this `hidden_size`)."""
    fullatt_block_indexes: tuple[int, ...] = ()
    """Blocks that attend over the whole frame; the others attend inside windows. Unused without windows."""
    window_size: int | None = None
    """Side of an attention window in pixels, None where every block attends over the whole frame."""
    patch_size: int = 14
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2
    in_channels: int = 3

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def merge_unit(self) -> int:
        """Patches that become one output token: 4."""
        return self.spatial_merge_size**2

    @property
    def patch_dim(self) -> int:
        """Values in one patch row of the input: channels x frames x rows x columns."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2

    @property
    def window_cells(self) -> int:
        """Side of an attention window in merged 2x2 cells: 4."""
        if self.window_size is None:
            raise ValueError(f"{self.name} has no attention windows")
        return self.window_size // self.patch_size // self.spatial_merge_size

    def attends_fully(self, block: int) -> bool:
        """Does this block see its whole frame?"""
        return self.window_size is None or block in self.fullatt_block_indexes


def _qwen2_vl(size: str, out_hidden_size: int) -> VisionConfig:
    return VisionConfig(f"qwen2-vl-{size}", "qwen2_vl", 32, 1280, 16, 5120, out_hidden_size)


def _qwen2_5_vl(size: str, intermediate_size: int, out_hidden_size: int) -> VisionConfig:
    name, full, window = f"qwen2.5-vl-{size}", (7, 15, 23, 31), 112
    return VisionConfig(name, "qwen2_5_vl", 32, 1280, 16, intermediate_size, out_hidden_size, full, window)


_SIZES = (
    _qwen2_vl("2b", 1536),
    _qwen2_vl("7b", 3584),
    _qwen2_vl("72b", 8192),
    _qwen2_5_vl("3b", 3420, 2048),
    _qwen2_5_vl("7b", 3420, 3584),
    # 32B and 72B: figures from third-party copies of the configs; some threads say that 32B has no windows.
    _qwen2_5_vl("32b", 3456, 5120),
    _qwen2_5_vl("72b", 3456, 8192),
    # Two heads of the real head_dim, so that rope and attention meet the shapes they meet in the real towers.
    VisionConfig("qwen2-vl-tiny", "qwen2_vl", 4, 160, 2, 640, 256),
    VisionConfig("qwen2.5-vl-tiny", "qwen2_5_vl", 4, 160, 2, 428, 256, (3,), 112),
)

MODELS: dict[str, VisionConfig] = {config.name: config for config in _SIZES}
