"""What differs between two captures, and what `doctor` found, as sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vlbench.export.captured import figure, table_of, time
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
        yield Words()
        yield table_of(
            "counters",
            "Counters (* median per instance)",
            ("range", "counter", "a", "b", "change"),
            ("range", "counter", "before", "after", "change"),
            found.counters,
            lambda row: (
                *(str(row["range"]), row["counter"], figure(row["a"]), figure(row["b"])),
                Cell(row["change"] + ("*" if row["per_instance"] else ""), row["change"]),
            ),
            limit,
        )
    busy = found.times[found.times["time"] == "busy_ns"].sort_values("b", ascending=False, kind="stable")
    if not busy.empty:
        yield Words()
        yield table_of(
            "busy",
            "GPU busy, median per instance (shown, never judged)",
            ("range", "a", "b", "b/a"),
            ("range", "busy_ns_before", "busy_ns_after", "ratio"),
            busy,
            lambda row: (str(row["range"]), time(row["a"]), time(row["b"]), _ratio(row["a"], row["b"])),
            limit,
        )


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
