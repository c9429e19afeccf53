"""The learned position embedding."""

import triton
import triton.language as tl


@triton.jit
def around(number, size, side):
    """Of place `number` among `size`: the row of the table before it and after it, and their weights."""
    place = tl.math.div_rn(number.to(tl.float32) * (side - 1), tl.maximum(size - 1, 1).to(tl.float32))
    before = tl.floor(place)
    row = before.to(tl.int32)
    near = tl.maximum(1.0 - tl.abs(place - before), 0.0)
    near_too = tl.maximum(1.0 - tl.abs(place - before - 1.0), 0.0)
    return row, tl.minimum(row + 1, side - 1), near, near_too


@triton.jit
def resample(
    items, table, out, count, side, width, merge: tl.constexpr, block_items: tl.constexpr, block_width: tl.constexpr
):
    """One patch: the four rows of the table around it, weighted and summed in the reference tower's order."""
    patch = tl.program_id(0)
    item = tl.arange(0, block_items)
    starts = tl.load(items + item * 4 + 2, mask=item < count, other=2147483647)
    own = items + (tl.sum((starts <= patch).to(tl.int32)) - 1) * 4
    height = tl.load(own).to(tl.int32)
    across = tl.load(own + 1).to(tl.int32)
    number = (patch - tl.load(own + 2).to(tl.int32)) % (height * across)  # in its frame
    cell, inside = number // (merge * merge), number % (merge * merge)
    row = cell // (across // merge) * merge + inside // merge
    column = cell % (across // merge) * merge + inside % merge
    upper, lower, near_upper, near_lower = around(row, height, side)
    left, right, near_left, near_right = around(column, across, side)
    channel = tl.arange(0, block_width)
    there = channel < width
    one = tl.load(table + (upper * side + left) * width + channel, mask=there).to(tl.float32)
    two = tl.load(table + (upper * side + right) * width + channel, mask=there).to(tl.float32)
    three = tl.load(table + (lower * side + left) * width + channel, mask=there).to(tl.float32)
    four = tl.load(table + (lower * side + right) * width + channel, mask=there).to(tl.float32)
    mixed = one * (near_upper * near_left) + two * (near_upper * near_right)
    mixed = mixed + three * (near_lower * near_left) + four * (near_lower * near_right)
    tl.store(out + patch.to(tl.int64) * width + channel, mixed, mask=there)
