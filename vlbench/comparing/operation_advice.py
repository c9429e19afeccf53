"""What usually removes operations that a forward asks for more often, by when they are asked for and how often."""

from vlbench.record.baseline import CountedCell

ATTENTION = "drop empty segments where their bounds are made, on the host; give the others to one call"
"""More attention calls; the operations that rise with them are theirs."""
FORGOTTEN = "only the first forward made it, and now each does: let the cache find it again, by the grid"
IN_A_LOOP = "if layers or items make the same, make it once, before the loop, and hand it on"
ONCE = "if it follows from grids alone, make it once, outside of the layers, and keep it by the grid"


def operation_advice(before: CountedCell, after: CountedCell, name: str) -> str:
    """What usually removes more of the operation `name` in the second forward; "" where there is no more of it."""

    def times(cell: CountedCell) -> tuple[int, int]:
        return cell.cold.operations.get(name, 0), cell.warm.operations.get(name, 0)

    (first, old), (first_now, now) = times(before), times(after)
    if now <= old:
        return ""
    if now <= first == first_now:
        return FORGOTTEN
    return IN_A_LOOP if now - old > 1 else ONCE
