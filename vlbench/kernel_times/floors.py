"""The floor: products and attention calls that a tower cannot do without, at a board's times."""

from collections.abc import Iterable

from vlbench.implementations.floor import Product, Work
from vlbench.kernel_times.look_up import Board
from vlbench.kernel_times.time import Time, total


def floor(board: Board, work: Iterable[Work], dtype: str) -> Time:
    """What this work takes on the board, and nothing beside it. Raises NotInTablesError for the first that is missing.

    `work` is that of `tower_work`, of a tower's configuration and grids, or any other.
    """
    times = [
        (board.product(each.m, each.n, each.k, dtype), each.times)
        if isinstance(each, Product)
        else (board.attention(each.batch, each.heads, each.length, each.head_dim, dtype), each.times)
        for each in work
    ]
    return total(times, f"products and attention alone, {board.name}")
