"""From ids to cos and sin."""

import triton
import triton.language as tl


@triton.jit
def cos_and_sin(
    ids, frequencies, cos, sin, patches, quarter: tl.constexpr, block_patches: tl.constexpr, block_half: tl.constexpr
):
    """Some patches: the first `quarter` pairs turn by their row, as many more by their column."""
    patch = tl.program_id(0).to(tl.int64) * block_patches + tl.arange(0, block_patches)[:, None]
    pair = tl.arange(0, block_half)[None, :]
    of_patch, of_pair = patch < patches, pair < 2 * quarter
    row = tl.load(ids + patch * 2, mask=of_patch)
    column = tl.load(ids + patch * 2 + 1, mask=of_patch)
    frequency = tl.load(frequencies + pair % quarter, mask=of_pair)
    angle = tl.where(pair < quarter, row, column).to(tl.float32) * frequency
    place = patch * (2 * quarter) + pair
    tl.store(cos + place, tl.cos(angle), mask=of_patch & of_pair)
    tl.store(sin + place, tl.sin(angle), mask=of_patch & of_pair)
