"""The work that one call of a tower asks for: what tells its path on a CPU from that on a device."""

from vlbench.record.base import Count, Record
from vlbench.record.site import Where


class Step(Record):
    """One operation, whole as the tower calls it."""

    operation: str
    """Without its overload."""
    shape: tuple[Count, ...]
    """Of its first result; () for a kernel that returns nothing."""
    where: Where


Work = tuple[Step, ...]
