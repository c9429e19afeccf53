"""Recorded calls as what is fed in: the first of them, in order, and the most frequent call of these."""

from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.record.base import grid_text
from vlbench.traffic.trace import Grid, Trace
from vlbench.workload.scenario import Item, ScenarioPoint, complaint

REPLAYED = 1_000
"""Calls that a run or a count looks at; `vlbench simulate` goes through all."""


def recorded(path: Path) -> tuple[tuple[str, str], ScenarioPoint]:
    """A title and what it stands for, and the point. Raises UsageError for what are no recorded calls."""
    trace = Trace(path)
    calls = list(islice(trace, REPLAYED + 1))
    more, calls = len(calls) > REPLAYED, calls[:REPLAYED]
    grids = tuple(call.grids for call in calls)
    (usual, often), *_ = Counter(grids).most_common(1)
    digest = sha256(repr(grids).encode()).hexdigest()[:8]
    dtypes = ", ".join(sorted({call.dtype or "dtype not told" for call in calls}))
    missed = f" missed={trace.missed}" if trace.missed else ""
    depths = [call.queue for call in calls if call.queue is not None]
    times = [call.seconds for call in calls]
    told = f"{dtypes}; {max(times) - min(times):.1f} s"
    told += f"; {min(depths)} to {max(depths)} waiting" if depths else "; depth of the queue not told"
    try:
        items = tuple(map(_item, usual))
        point = ScenarioPoint(
            scenario=path.stem, label=f"calls={len(calls)}{missed} {digest}", source="noise", item=items, calls=grids
        )
    except ValidationError as error:
        why = complaint(error, Item)
        raise UsageError(f"{path}: its most frequent call cannot be fed to a tower: {why}") from None
    first = "The first " if more else ""
    title = f"{first}{len(calls):,} recorded calls, {often:,} of them of {_words(usual)}"
    return (title + (f"; {trace.missed:,} more were made there and missed" if trace.missed else ""), told), point


def _item(grid: Grid) -> Item:
    t, h, w = grid
    side = f"{h}x{w}"
    return Item(grid=side) if t == 1 else Item(kind="video", grid=side, frames=2 * t)


def _words(grids: tuple[Grid, ...]) -> str:
    shown = " + ".join(map(grid_text, grids[:3]))
    return f"{shown} + {len(grids) - 3} more" if len(grids) > 3 else shown
