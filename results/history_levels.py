"""How often `vlbench history` sees levels in noise, and finds a real one: `python -m results.history_levels`.

Times of one machine resemble those just before. So the noise here is autoregressive: of how far a time is off, the next
one keeps a share, the correlation, and the rest is new. Some machines are slow now and then: in one kind of series a
share of the readings takes longer, each by chance.
"""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

from vlbench.record.base import Amount, Checksummed, Count, Record, fitting
from vlbench.record.files import write_whole
from vlbench.stats.change_points import change_points
from vlbench.untrusted.files import Kind, read_json

PATH = Path(__file__).parent / "history" / "levels.json"
STORED = Kind("write it anew with `python -m results.history_levels`", ours=True)
CORRELATIONS, READINGS = (0.0, 0.3, 0.6, 0.9), (10, 20, 30, 60)
SERIES, NOISE, STEP = 400, 0.02, 1.1
KINDS = (*((correlation, 0.0) for correlation in CORRELATIONS), (0.0, 0.2))
"""Correlation, and the share of readings that are `SLOW` times as long."""
SLOW = 1.2


class Seen(Record):
    """What was seen in series of one kind."""

    correlation: Amount
    slow: Amount
    """The share of readings that take longer, each by chance."""
    readings: Count
    false: Amount
    """The share of series of noise alone in which there was a level."""
    found: Amount
    """The share of series with a step in the middle in which a level began there, or at most two readings off."""


class Levels(Checksummed):
    """All kinds."""

    series: Count
    noise: Amount
    step: Amount
    seen: tuple[Seen, ...]


def noisy(readings: int, correlation: float, slow: float, seed: int, step: float = 1.0) -> list[float]:
    """Times about 10, from the middle on `step` times that, and a share of them `SLOW` times as long."""
    random, off, times = Random(seed), 0.0, []
    for place in range(readings):
        new = random.gauss(0, NOISE)
        off = new if place == 0 else correlation * off + math.sqrt(1 - correlation**2) * new
        longer = SLOW if slow and random.random() < slow else 1.0
        times.append(10 * math.exp(off) * longer * (step if place >= readings // 2 else 1.0))
    return times


def seen(readings: int, correlation: float, slow: float = 0.0, series: int = SERIES) -> Seen:
    """What is seen in so many series, which are always the same."""
    false = sum(bool(change_points(noisy(readings, correlation, slow, seed))) for seed in range(series))
    stepped = (change_points(noisy(readings, correlation, slow, seed, STEP)) for seed in range(series))
    found = sum(any(abs(place - readings // 2) <= 2 for place in places) for places in stepped)
    return Seen(correlation=correlation, slow=slow, readings=readings, false=false / series, found=found / series)


def levels_table() -> str:
    """Both shares by length and correlation, as a Markdown table."""
    found = fitting(Levels, read_json(PATH, STORED), PATH, STORED.remedy)
    by = {(each.correlation, each.slow, each.readings): each for each in found.seen}
    head = [f"{readings} readings" for readings in READINGS]
    rows = [f"| correlation | {' | '.join(head)} |", f"|--:|{'--:|' * len(head)}"]
    for correlation, slow in KINDS:
        cells = [by[correlation, slow, readings] for readings in READINGS]
        told = (f"{each.false:.1%} / {each.found:.0%}" for each in cells)
        skewed = f", {slow:.0%} of readings +{SLOW - 1:.0%}" if slow else ""
        rows.append(f"| {correlation:g}{skewed} | {' | '.join(told)} |")
    return "\n".join(rows)


def main() -> None:
    """Write the file anew: a minute."""
    every = tuple(seen(readings, *kind) for kind in KINDS for readings in READINGS)
    found = Levels(series=SERIES, noise=NOISE, step=STEP, seen=every).with_checksum()
    write_whole(PATH, found.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
