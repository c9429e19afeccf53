"""Shares, times, sizes and counts as people write and read them."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from vlbench.errors import UsageError
from vlbench.stats.paired import Estimate


def parse_share(text: str, option: str) -> float:
    """`2.5%` and `0.025` are both 0.025. Raises `UsageError` naming `option`."""
    digits = text.strip()
    try:
        share = float(digits[:-1]) / 100 if digits.endswith("%") else float(digits)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"{option} {text!r} is not a share; write it as 2.5% or 0.025")
    return share


SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_size(text: str, option: str) -> int:
    """`4GiB` and `4 GiB` are 2 to the power of 32 bytes. Raises `UsageError` naming `option`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([KMG]i?B|B)", text.strip())
    if found is None:
        raise UsageError(f"{option} {text!r:.40} is not a size; write it as 4GiB or 500MB")
    return int(float(found[1]) * SIZES[found[2]])


def few(names: Sequence[str], most: int) -> str:
    """The first of several names and how many more there are: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def percent(share: float) -> str:
    """A share without sign: 0.025 is "2.5 %"."""
    return f"{100 * share:.1f} %" if share < 10 else f"{100 * share:,.0f} %"


def change(ratio: float) -> str:
    """A ratio as a signed change: 1.025 is "+2.5 %"."""
    return f"{signed(ratio)} %"


def signed(ratio: float) -> str:
    """A ratio as signed per cent, without the sign of per cent and never as -0.0."""
    return f"{round(100 * (ratio - 1), 1) + 0.0:+,.1f}"


SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9, "sec": 1.0, "seconds": 1.0}
"""Of one of each unit of time."""


def in_digits(value: float, digits: int = 4) -> str:
    """Such as "17.01", "13,160" and "0.0000132": no exponent, unless there would be nothing but zeros to read."""
    text = f"{value:.{digits}g}"
    return f"{Decimal(text):,f}" if 1e-9 < abs(value) < 1e15 else text


def duration(seconds: float) -> str:
    """Four digits with the unit that people would take: 0.0123 is "12.3 ms"."""
    if seconds == 0:
        return "0 s"
    unit = next((each for each in ("s", "ms", "us") if seconds >= SECONDS[each]), "ns")
    return f"{in_digits(seconds / SECONDS[unit])} {unit}"


def time_of(value: float, unit: str) -> str:
    """The same of a figure in that unit; "" where it is none of time."""
    return duration(value * SECONDS[unit]) if unit in SECONDS else ""


def milliseconds(seconds: float | None) -> str:
    """Two decimals; below a millisecond, where a seam alone is at home, three digits. "-" where there is no time."""
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.2f}" if seconds >= 1e-3 else f"{seconds * 1e3:#.3g}"


def in_three_digits(value: float) -> str:
    """Such as "43.9", "163" and "1,430": of a prediction no more is known."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:#.3g}"


def speedup_with_interval(estimate: Estimate) -> str:
    """Such as "1.40 [1.38, 1.43]"."""
    return f"{estimate.speedup:.2f} [{1 / estimate.high:.2f}, {1 / estimate.low:.2f}]"


def readable_bytes(count: float) -> str:
    """Such as "20.7 kB": three digits, decimal units."""
    return three_digits(count, {"GB": 1e9, "MB": 1e6, "kB": 1e3}, "B")


def three_digits(value: float, units: Mapping[str, float], smallest: str) -> str:
    """`value` in the first of `units`, the largest first, of which it is one or more; else whole, in the `smallest`."""
    for unit, one in units.items():
        count = value / one
        if abs(count) >= 1:
            return f"{count:.3g} {unit}" if abs(count) < 999.5 else f"{count:.0f} {unit}"
    return f"{value:.0f} {smallest}"


def counter_name(counter: str) -> str:
    """A counter as people write it: host_syncs is "host syncs"."""
    return counter.replace("_", " ")


def number_of(count: int, one: str, many: str = "") -> str:
    """How many of what there are: "1 cell", "1,200 cells"."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
