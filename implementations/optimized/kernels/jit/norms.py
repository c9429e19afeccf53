"""The norms of hidden states."""

import triton
import triton.language as tl


@triton.jit
def normalise(
    x, more, weight, bias, total, out, width, eps, adds: tl.constexpr, centred: tl.constexpr, block_width: tl.constexpr
):
    """One row: what is added, kept as `total`, and its LayerNorm (`centred`) or RMSNorm; in fp32 but for the roundings.

    A sum is rounded before it is normalised, and what RMSNorm makes of it before it is weighted, as apart.
    """
    start = tl.program_id(0).to(tl.int64) * width
    channel = tl.arange(0, block_width)
    there = channel < width
    value = tl.load(x + start + channel, mask=there, other=0.0)
    if adds:
        second = tl.load(more + start + channel, mask=there, other=0.0)
        value = (value.to(tl.float32) + second.to(tl.float32)).to(value.dtype)
        tl.store(total + start + channel, value, mask=there)
    wide = value.to(tl.float32)
    if centred:
        wide = tl.where(there, wide - tl.sum(wide) / width, 0.0)
    wide = wide * tl.rsqrt(tl.sum(wide * wide) / width + eps)
    scale = tl.load(weight + channel, mask=there).to(tl.float32)
    if centred:
        wide = wide * scale + tl.load(bias + channel, mask=there).to(tl.float32)
    else:
        wide = wide.to(value.dtype).to(tl.float32) * scale
    tl.store(out + start + channel, wide, mask=there)
