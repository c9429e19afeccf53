"""Qwen3-VL, and Qwen3.5 and Qwen3.8, which have no deepstack: a composite of naive ways, slower than any one stack.

Frozen: speed-ups are to it. It is slow on purpose, in ways that code had: those of the Qwen2-VL tower beside it, the
position embedding resampled image by image with four look-ups each, and a search for the place of each block.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ..config import VisionConfig
from ..output import VisionOutput, with_features
from ..stage import stage

Corner = tuple[Tensor, Tensor]
"""Which rows of the table, and their weights, [h, w] each."""


class PatchEmbed(nn.Module):
    """Pixels [N, patch_dim] to [N, C]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel, bias=True)

    def forward(self, pixels: Tensor) -> Tensor:
        """Each row is one output of the convolution."""
        c = self.config
        pixels = pixels.view(-1, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size)
        return self.proj(pixels).view(-1, c.hidden_size)  # [N, C]


def rotate_half(x: Tensor) -> Tensor:
    """A quarter turn of each pair: element d goes with d + head_dim / 2."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def apply_rope(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate x [1, N, heads, head_dim] by angles [N, head_dim / 2], in fp32, element d paired with d + head_dim / 2."""
    cos, sin = angles.cos(), angles.sin()
    cos, sin = repeat(cos, "n d -> n 1 (2 d)"), repeat(sin, "n d -> n 1 (2 d)")
    x32 = x.float()
    return (x32 * cos + rotate_half(x32) * sin).type_as(x)


class Attention(nn.Module):
    """Projection, rotation, attention inside segments, projection; x [N, C] to [N, C]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, cu_seqlens: Tensor, angles: Tensor) -> Tensor:
        """Segments are bounded by `cu_seqlens`, [0, ..., N]."""
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
    """Two linears; x [N, C] to [N, C]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """With the tanh form of GELU between the two."""
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to the hidden states [N, C]."""

    def __init__(self, config: VisionConfig, index: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.attn = Attention(config)
        self.mlp = MLP(config)
        self.attention_stage = f"block[{index}].attention"
        self.mlp_stage = f"block[{index}].mlp"

    def forward(self, x: Tensor, cu_seqlens: Tensor, angles: Tensor) -> Tensor:
        """Every block attends over whole frames."""
        with stage(self.attention_stage):
            x = x + self.attn(self.norm1(x), cu_seqlens, angles)
        with stage(self.mlp_stage):
            return x + self.mlp(self.norm2(x))


class PatchMerger(nn.Module):
    """Squares of patches, [N, C], to tokens, [N / 4, out_hidden_size]."""

    def __init__(self, config: VisionConfig, *, joined_first: bool) -> None:
        """`joined_first`: is the norm taken of the four patches together?"""
        super().__init__()
        self.merged_size = config.hidden_size * config.merge_unit
        self.joined_first = joined_first
        self.norm = nn.LayerNorm(self.merged_size if joined_first else config.hidden_size, eps=1e-6)
        self.linear_fc1 = nn.Linear(self.merged_size, self.merged_size)
        self.linear_fc2 = nn.Linear(self.merged_size, config.out_hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """With the exact GELU between the two."""
        x = self.norm(x.view(-1, self.merged_size)) if self.joined_first else self.norm(x).view(-1, self.merged_size)
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class Qwen3VisionTower(nn.Module):
    """The tower of Qwen3-VL, and of Qwen3.5 and Qwen3.8 where the config has no deepstack."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Embedding(config.position_table, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))
        self.merger = PatchMerger(config, joined_first=False)
        self.deepstack_merger_list = nn.ModuleList(
            PatchMerger(config, joined_first=True) for _ in config.deepstack_blocks
        )
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

    def taps(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """Where `size` patches lie between the first and the last row of the table: the row before each and the one
        after, [size], with their weights in fp32."""
        last = int(self.config.position_table**0.5) - 1
        index = torch.arange(size, device=self.inv_freq.device).float()
        # Divided by a tensor: by a number, a GPU multiplies with its reciprocal, a last place off.
        place = index * last / torch.full_like(index, max(size - 1, 1))
        before = place.floor()
        row = before.long()
        weights = ((1 - (place - before - step).abs()).clamp(min=0) for step in (0, 1))
        return list(zip((row, (row + 1).clamp(max=last)), weights, strict=True))

    def corners(self, grid_thw: Tensor) -> list[tuple[int, list[Corner]]]:
        """Of each item its frames, and the four rows of the table around each of its patches."""
        side, found = int(self.config.position_table**0.5), []
        for t, h, w in grid_thw:
            t, h, w = int(t), int(h), int(w)
            rows, columns = self.taps(h), self.taps(w)
            four = [
                (row.unsqueeze(1) * side + column, near.unsqueeze(1) * near_too)
                for row, near in rows
                for column, near_too in columns
            ]
            found.append((t, four))
        return found

    def positions(self, corners: list[tuple[int, list[Corner]]]) -> Tensor:
        """The learned position of every patch, [N, C] in fp32, in the patches' order."""
        merge, positions = self.config.spatial_merge_size, []
        for frames, four in corners:
            first, *others = (self.pos_embed(rows) * weights.unsqueeze(-1) for rows, weights in four)
            for other in others:
                first = first + other
            in_cells = rearrange(first, "(h i) (w j) c -> (h w i j) c", i=merge, j=merge)
            positions.append(in_cells.repeat(frames, 1))
        return torch.cat(positions)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / 4, out_hidden_size].

        With deepstack, features of the same shape come with them by the names `deepstack[0]` and on.
        """
        blocks = self.config.deepstack_blocks
        with stage("forward"):
            with stage("plan"):
                grid_thw = grid_thw.to(pixels.device)
                frames = torch.repeat_interleave(grid_thw[:, 1] * grid_thw[:, 2], grid_thw[:, 0])
                cu_seqlens = F.pad(frames.cumsum(0, dtype=torch.int32), (1, 0))  # frames do not see each other
                with stage("rope"):
                    angles = self.rope_angles(grid_thw)
                with stage("positions"):
                    corners = self.corners(grid_thw)
            with stage("patch_embed"):
                x = self.patch_embed(pixels)
            with stage("positions"):
                x = x + self.positions(corners).to(x.dtype)
            features = []
            for index, block in enumerate(self.blocks):
                x = block(x, cu_seqlens, angles)
                if index in blocks:
                    level = blocks.index(index)
                    with stage("deepstack"):
                        features.append(self.deepstack_merger_list[level](x))
            with stage("merger"):
                return with_features(self.merger(x), features)
