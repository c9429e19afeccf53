"""What differs between two captures, and what `doctor` found, as sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vlbench.export.captured import table_of
from vlbench.export.sheet import Cell, Column, Part, Sheet, Table, Words
from vlbench.nsys.compare import Difference
from vlbench.nsys.doctor import Check
from vlbench.nsys.report import number


def difference_parts(found: Difference, limit: int) -> Iterator[Part]:
    """What appeared, vanished and moved, and how long it took."""
    yield from (Words(f"Not comparable: {obstacle}", "red") for obstacle in found.obstacles)
    if found.obstacles:
        return
    yield from (Words(f"Note: {note}", "yellow") for note in found.notes)
    for title, names in (("Appeared", found.appeared), ("Vanished", found.vanished)):
        yield from (Words(f"{title}: {name}") for name in names[: limit or None])
        if limit and len(names) > limit:
            yield Words(f"  ... {len(names) - limit} more {title.lower()}", "dim")
    if found.counters.empty:
        yield Words("Counters: the same in every range of both")
    else:
        changes = zip(found.counters["change"], found.counters["per_instance"], strict=True)
        change = [Cell(f"{change}{'*' * bool(each)}", change) for change, each in changes]
        columns = {"range": "range", "counter": "counter", "a": "a", "b": "b", "change": "change"}
        title = "Counters (* median per instance)"
        yield from (Words(), table_of("counters", title, found.counters, columns, limit, change=change))
    busy = found.times[found.times["time"] == "busy_ns"].sort_values("b", ascending=False, kind="stable")
    if not busy.empty:
        frame = busy.rename(columns={"a": "a_ns", "b": "b_ns"})
        ratio = [_ratio(*pair) for pair in zip(busy["a"], busy["b"], strict=True)]
        columns = {"range": "range", "a": "a_ns", "b": "b_ns", "b/a": "ratio"}
        title = "GPU busy, median per instance (shown, never judged)"
        yield from (Words(), table_of("busy", title, frame, columns, limit, ratio=ratio))


def checks_sheet(checks: Sequence[Check], code: int, json: Callable[[], str]) -> Sheet:
    """One line per check, with the remedy below what is wrong."""
    lines = []
    for check in checks:
        mark = "ok  " if check.ok else "MISS" if check.code else "note"
        lines.append(Words(f"{mark} {check.name}: {check.found}", "" if check.ok else "yellow"))
        if check.remedy:
            lines.append(Words(f"     -> {check.remedy}"))
    columns = [Column(heading, left=True) for heading in ("check", "ok", "found", "remedy")]
    rows = [(check.name, check.ok, check.found, check.remedy or None) for check in checks]
    return Sheet(
        "vlbench nsys doctor", [Table("checks", columns, rows, lines=lines)], exit_code=code, own={"json": json}
    )


def _ratio(before: float, after: float) -> Cell:
    return Cell(f"{after / before - 1:+.1%}", number(after / before)) if before else Cell("-")
