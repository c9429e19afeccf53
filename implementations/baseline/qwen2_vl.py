"""Qwen2-VL: a composite of the naive ways of early 2025, slower than any one stack. Frozen: speed-ups are to it.

It is slow on purpose, in ways that code had then: grid sizes read back from the device one by one, a CPU index
into a device table, cos and sin computed in every layer for q and again for k, attention one segment at a time with
bounds that live on the device.
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


class MLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))  # quick_gelu


class Block(nn.Module):
    def __init__(self, config: VisionConfig, index: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.attn = Attention(config)
        self.mlp = MLP(config)
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
        self.ln_q = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(self.merged_size, self.merged_size),
            nn.GELU(),
            nn.Linear(self.merged_size, config.out_hidden_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.ln_q(x).view(-1, self.merged_size))  # [N / 4, out_hidden_size]


class Qwen2VisionTower(nn.Module):
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

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / 4, out_hidden_size]."""
        with stage("forward"):
            with stage("plan"):
                grid_thw = grid_thw.to(pixels.device)
                frames = torch.repeat_interleave(grid_thw[:, 1] * grid_thw[:, 2], grid_thw[:, 0])
                cu_seqlens = F.pad(frames.cumsum(0, dtype=torch.int32), (1, 0))  # frames do not see each other
                with stage("rope"):
                    angles = self.rope_angles(grid_thw)
            with stage("patch_embed"):
                x = self.patch_embed(pixels)
            for block in self.blocks:
                x = block(x, cu_seqlens, angles)
            with stage("merger"):
                return self.merger(x)
