"""The rotation of q and k."""

import triton
import triton.language as tl


@triton.jit
def rotate(
    qkv, cos, sin, stride, heads: tl.constexpr, half: tl.constexpr, block_heads: tl.constexpr, block_half: tl.constexpr
):
    """One patch: in each of its first `heads` heads, element d turns with d + half, in place."""
    patch = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, block_heads)[:, None]
    pair = tl.arange(0, block_half)[None, :]
    of_pair = pair < half
    inside = (head < heads) & of_pair
    cosine = tl.load(cos + patch * half + pair, mask=of_pair).to(tl.float32)
    sine = tl.load(sin + patch * half + pair, mask=of_pair).to(tl.float32)
    place = qkv + patch * stride + head * (2 * half) + pair
    first = tl.load(place, mask=inside).to(tl.float32)
    second = tl.load(place + half, mask=inside).to(tl.float32)
    tl.store(place, first * cosine - second * sine, mask=inside)
    tl.store(place + half, second * cosine + first * sine, mask=inside)
