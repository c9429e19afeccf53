"""Numbers as text that reads well in a narrow column."""

from __future__ import annotations

import pandas as pd


def duration(nanoseconds: float) -> str:
    """A time in three digits: `950 ns`, `12.3 us`, `1.16 s`."""
    if pd.isna(nanoseconds):
        return "-"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(nanoseconds) >= size:
            return (
                f"{nanoseconds / size:.3g} {unit}"
                if abs(nanoseconds) < 1000 * size
                else f"{nanoseconds / size:.0f} {unit}"
            )
    return f"{nanoseconds:.0f} ns"


def size(count: float) -> str:
    """Bytes in three digits."""
    for unit, power in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= power:
            return f"{count / power:.3g} {unit}" if count < 1000 * power else f"{count / power:.0f} {unit}"
    return f"{count:.0f} B"


def plain(value: float) -> str:
    """A count; a median may be a half."""
    return f"{value:.1f}" if value != int(value) else str(int(value))
