"""The floor: products and attention calls that a tower cannot do without, at a board's times."""

from collections.abc import Iterable
from dataclasses import replace

from vlbench.implementations.floor import Call, Product, Work
from vlbench.kernel_times.look_up import Board
from vlbench.kernel_times.time import Time, total


def floor(board: Board, work: Iterable[Work], dtype: str) -> Time:
    """What this work takes on the board, and nothing beside it. Raises NotInTablesError for the first that is missing.

    `work` is that of `tower_work`, of a tower's configuration and grids, or any other.
    """
    times = [
        (board.product(each.m, each.n, each.k, dtype, padded=True), each.times)
        if isinstance(each, Product)
        else (_attention(board, each, dtype), each.times)
        for each in work
    ]
    return total(times, f"products and attention alone, {board.name}")


def _attention(board: Board, call: Call, dtype: str) -> Time:
    """Of a call; of one that is joined to another without the start, and so rather too short than too long."""
    time = board.attention(call.batch, call.heads, call.length, call.head_dim, dtype)
    if not call.joined:
        return time
    start = board.attention(1, call.heads, 1, call.head_dim, dtype).us
    us, low, high = (max(0.0, each - start) for each in (time.us, time.low, time.high))
    return replace(time, us=us, low=low, high=high)
