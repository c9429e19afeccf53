"""Names and numbers as they stand in tables."""

from __future__ import annotations

from vlbench.stats.paired import Estimate

NAME_WIDTH = 20


def broken(name: str) -> str:
    """A long combination, or module and factory, over several lines, so that it stays in its column."""
    return name if len(name) <= NAME_WIDTH else name.replace("+", "\n+").replace(":", ":\n").removeprefix("\n")


def milliseconds(seconds: float | None) -> str:
    """Two decimals; below a millisecond, where a seam alone is at home, three digits. "-" where there is no time."""
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.2f}" if seconds >= 1e-3 else f"{seconds * 1e3:#.3g}"


def speedup_with_interval(estimate: Estimate) -> str:
    """Such as "1.40 [1.38, 1.43]"."""
    return f"{estimate.speedup:.2f} [{1 / estimate.high:.2f}, {1 / estimate.low:.2f}]"


def readable_bytes(count: float) -> str:
    """Such as "20.7 kB": three digits, decimal units."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def cells(count: int) -> str:
    """ "1 cell", "3 cells"."""
    return f"{count} cell{'s' * (count != 1)}"
