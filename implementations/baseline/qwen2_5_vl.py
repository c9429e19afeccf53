"""Qwen2.5-VL: a composite of the naive ways of early 2025, slower than any one stack. Frozen: speed-ups are to it.

It differs from Qwen2-VL in its window attention (112 pixels square, 4x4 merged cells), RMSNorm and gated MLP. It is
slow on purpose, in ways that code had then: grid sizes read back from the device one by one, a CPU index into
a device table, windows rebuilt for every forward with empty ones among them, cos and sin computed in every layer for q
and again for k, attention one segment at a time with bounds that live on the device.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ..config import VisionConfig
from ..stage import stage


class PatchEmbed(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        c = self.config
        pixels = pixels.view(-1, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size)
        return self.proj(pixels).view(-1, c.hidden_size)  # [N, C]


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def apply_rope(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate x [1, N, heads, head_dim] by angles [N, head_dim / 2], in fp32, element d paired with d + head_dim / 2."""
    cos, sin = angles.cos(), angles.sin()
    cos, sin = repeat(cos, "n d -> n 1 (2 d)"), repeat(sin, "n d -> n 1 (2 d)")
    x32 = x.float()
    return (x32 * cos + rotate_half(x32) * sin).type_as(x)


class Attention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, cu_seqlens: Tensor, angles: Tensor) -> Tensor:
        qkv = rearrange(self.qkv(x), "s (three h d) -> three s 1 h d", three=3, h=self.num_heads)
        q, k, v = (rearrange(part, "s b h d -> b s h d") for part in qkv.unbind(0))
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        q = apply_rope(q, angles)
        k = apply_rope(k, angles)

        outputs = []
        for i in range(1, len(cu_seqlens)):
            start, end = cu_seqlens[i - 1], cu_seqlens[i]
            q_i, k_i, v_i = (rearrange(part[:, start:end], "b s h d -> b h s d") for part in (q, k, v))
            outputs.append(rearrange(F.scaled_dot_product_attention(q_i, k_i, v_i), "b h s d -> b s h d"))
        context = rearrange(torch.cat(outputs, dim=1), "b s h d -> s b (h d)").contiguous()
        return self.proj(context.squeeze(1))


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x32.type_as(x)


class MLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: VisionConfig, index: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(config.hidden_size)
        self.norm2 = RMSNorm(config.hidden_size)
        self.attn = Attention(config)
        self.mlp = MLP(config)
        self.attends_fully = config.attends_fully(index)
        self.attention_stage = f"block[{index}].attention"
        self.mlp_stage = f"block[{index}].mlp"

    def forward(self, x: Tensor, cu_seqlens: Tensor, angles: Tensor) -> Tensor:
        with stage(self.attention_stage):
            x = x + self.attn(self.norm1(x), cu_seqlens, angles)
        with stage(self.mlp_stage):
            return x + self.mlp(self.norm2(x))


class PatchMerger(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.merged_size = config.hidden_size * config.merge_unit
        self.ln_q = RMSNorm(config.hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(self.merged_size, self.merged_size),
            nn.GELU(),
            nn.Linear(self.merged_size, config.out_hidden_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.ln_q(x).view(-1, self.merged_size))  # [N / 4, out_hidden_size]


class Qwen2_5VisionTower(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))
        self.merger = PatchMerger(config)
        # Half of the rotated pairs turn with the row, half with the column.
        half = config.head_dim // 2
        exponent = torch.arange(0, half, 2, dtype=torch.float32, device="cpu") / half
        self.register_buffer("inv_freq", 1.0 / 10000.0**exponent, persistent=False)
        self.inv_freq: Tensor

    def position_ids(self, grid_thw: Tensor) -> Tensor:
        """Row and column of every patch, [N, 2], on the host: 2x2 cells row by row, row by row inside a cell."""
        merge, ids = self.config.spatial_merge_size, []
        for t, h, w in grid_thw:
            t, h, w = int(t), int(h), int(w)
            rows = torch.arange(h).unsqueeze(1).expand(h, w)
            columns = torch.arange(w).unsqueeze(0).expand(h, w)
            in_cells = (rearrange(x, "(h i) (w j) -> (h w i j)", i=merge, j=merge) for x in (rows, columns))
            ids.append(torch.stack(tuple(in_cells), dim=-1).repeat(t, 1))
        return torch.cat(ids, dim=0)

    def rope_angles(self, grid_thw: Tensor) -> Tensor:
        """Angle of every rotated pair, [N, head_dim / 2], in the patches' order."""
        ids = self.position_ids(grid_thw)
        positions = torch.arange(int(grid_thw[:, 1:].max()), device=self.inv_freq.device).float()
        return torch.outer(positions, self.inv_freq)[ids].flatten(1)

    def window_order(self, grid_thw: Tensor) -> tuple[Tensor, Tensor]:
        """On the host: the merged cells window by window, [N / 4], and the windows' bounds in patches."""
        merge, side = self.config.spatial_merge_size, self.config.window_cells
        order, sizes, offset = [], [], 0
        for t, h, w in grid_thw:
            t, h, w = int(t), int(h) // merge, int(w) // merge
            cells = torch.arange(t * h * w).view(t, h, w)
            # Where a size is a multiple of the side already, the pad is a whole row or column of empty windows.
            cells = F.pad(cells, (0, side - w % side, 0, side - h % side), value=-1)
            windows = rearrange(cells, "t (h i) (w j) -> (t h w) (i j)", i=side, j=side)
            real = windows >= 0
            cells_in_windows, sizes_here = windows[real], real.sum(1)
            order.append(cells_in_windows + offset)
            sizes.append(sizes_here)
            offset += t * h * w
        bounds = torch.cat(sizes).cumsum(0, dtype=torch.int32) * self.config.merge_unit
        return torch.cat(order), F.pad(bounds, (1, 0))

    def permute_cells(self, x: Tensor, order: Tensor) -> Tensor:
        """Rows of x [N, ...] moved in groups of four, as whole merged cells."""
        return x.view(order.shape[0], self.config.merge_unit, -1)[order].view(x.shape[0], -1)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / 4, out_hidden_size]."""
        with stage("forward"):
            with stage("plan"):
                grid_thw = grid_thw.to(pixels.device)
                frames = torch.repeat_interleave(grid_thw[:, 1] * grid_thw[:, 2], grid_thw[:, 0])
                cu_seqlens = F.pad(frames.cumsum(0, dtype=torch.int32), (1, 0))  # frames do not see each other
                with stage("window_order"):
                    window_index, cu_window_seqlens = self.window_order(grid_thw)
                    window_index = window_index.to(pixels.device)
                    cu_window_seqlens = torch.unique_consecutive(cu_window_seqlens.to(pixels.device))
                    inverse = torch.empty_like(window_index)
                    inverse[window_index] = torch.arange(inverse.shape[0], device=inverse.device)
                with stage("rope"):
                    angles = self.permute_cells(self.rope_angles(grid_thw), window_index)
            with stage("patch_embed"):
                x = self.patch_embed(pixels)
            with stage("window_order"):
                x = self.permute_cells(x, window_index)
            for block in self.blocks:
                x = block(x, cu_seqlens if block.attends_fully else cu_window_seqlens, angles)
            with stage("merger"):
                x = self.merger(x)
            with stage("restore_order"):
                return x[inverse]
