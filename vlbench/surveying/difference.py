"""Two atlases held against each other: which tower waits more often than it did, and at which line."""

from collections import Counter as Multiset
from collections.abc import Iterator

from vlbench.errors import IncomparableError
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.record.atlas import Atlas, AtlasCount, AtlasRow, AtlasWay
from vlbench.record.base import grid_text
from vlbench.record.site import Where

COUNTERS = {
    "waits": "host_syncs",
    "uploads": "uploads",
    "implicit_uploads": "implicit_uploads",
    "plans": "attention_plans",
    "attention_calls": "attention_calls",
    "operations": "device_operations",
}
"""What is judged, the most important first, under the names that other comparisons have for it."""
REMEDIES = {
    ExitCode.REGRESSED: "take the line out that came, or store the new figures: `vlbench atlas --out FILE --force`",
    ExitCode.MISSING: "mend the tower or its entry in the list, or leave it out there with a reason",
}
SHOWN = 3
"""Lines that a reason names; the moves have them all."""


def differences(before: Atlas, after: Atlas, *, all_stored: bool = False) -> Judged:
    """A row for each tower and way of `before`, and a note on towers that are new, which are missing if `all_stored`.

    Raises IncomparableError where the two were counted under other conditions.
    """
    if before.package != after.package:
        raise IncomparableError(f"one is an atlas of {before.package}, the other of {after.package}; give two of one")
    for what, mine, other in zip(
        ("torch", "GPU", "cuDNN", "dtype", "grids"), before.conditions, after.conditions, strict=True
    ):
        if mine != other:
            told = f"{before.title} was counted with {what} {_told(mine)}, {after.title} with {_told(other)}"
            raise IncomparableError(f"{told}; count both alike")
    now = {row.name: row for row in after.rows}
    rows = [judged for row in before.rows if row.counted for judged in _rows(row, now.get(row.name), after)]
    new = sorted({row.name for row in after.rows if row.counted} - {row.name for row in before.rows if row.counted})
    if all_stored:
        rows += [JudgedRow.missing(name, "counters", "it is not among the stored ones yet") for name in new]
    judged = Judged(
        command="atlas",
        before=before.title,
        after=after.title,
        rows=tuple(rows),
        notes=(f"new in {after.title}: {', '.join(new)}",) if new else (),
        false_alarms=None,
        seconds=after.seconds,
    )
    return judged.model_copy(update={"remedy": REMEDIES.get(judged.exit_code)})


def _told(condition: object) -> str:
    return ", ".join(map(grid_text, condition)) if isinstance(condition, tuple) else str(condition)


def _rows(before: AtlasRow, after: AtlasRow | None, whole: Atlas) -> Iterator[JudgedRow]:
    if after is None or not after.counted:
        why = f"{whole.title} has no such tower" if after is None else after.failed
        yield JudgedRow.missing(before.name, "counters", why)
        return
    ways = {way.name: way for way in after.ways}
    for way in before.ways:
        yield from _way(f"{before.name}, {way.name}", way, ways.get(way.name))
    for way in after.ways:
        if way.count and way.name not in {each.name for each in before.counted}:
            yield JudgedRow.counted(f"{before.name}, {way.name}", [], f"this way is new: {way.count.waits:,} waits")


def _way(cell: str, before: AtlasWay, after: AtlasWay | None) -> Iterator[JudgedRow]:
    if before.count is None:
        return
    if after is None or after.count is None:
        yield JudgedRow.missing(cell, "counters", after.failed if after else "it is not offered any more")
        return
    counters = [
        Move(kind="counter", name=name, before=old, after=new)
        for field, name in COUNTERS.items()
        if (old := getattr(before.count, field)) != (new := getattr(after.count, field))
    ]
    row = JudgedRow.counted(cell, counters, "all counters are equal")
    lines = list(line_moves(before.count, after.count))
    told = [f"{'came' if not each.before else 'gone' if not each.after else 'moved'}: {_place(each)}" for each in lines]
    more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    reason = "; ".join([row.reason, *told[:SHOWN]]) + more
    yield row.model_copy(update={"moves": (*counters, *lines), "reason": reason})


def line_moves(before: AtlasCount, after: AtlasCount) -> Iterator[Move]:
    """Lines that came, went, or wait more or less often; a line is known by its file and source, not by its number."""
    old, new = _lines(before), _lines(after)
    places = {
        (line.event, line.where.file, line.where.source): line for count in (before, after) for line in count.lines
    }
    for key, line in places.items():
        if old[key] != new[key]:
            yield Move(
                kind="line",
                name=f"{line.event}: {line.where.source}",
                before=old[key],
                after=new[key],
                file=line.where.file,
                line=line.where.line,
                advice=line.advice if new[key] > old[key] else "",
            )


def _lines(count: AtlasCount) -> Multiset[tuple[str, str | None, str]]:
    found: Multiset[tuple[str, str | None, str]] = Multiset()
    for line in count.lines:
        found[line.event, line.where.file, line.where.source] += line.times
    return found


def _place(move: Move) -> str:
    times = f", {move.before:.0f}x" if not move.after else f", {move.after:.0f}x" if not move.before else ""
    return f"{Where(move.name.partition(': ')[2], move.file, move.line)}{times}"
