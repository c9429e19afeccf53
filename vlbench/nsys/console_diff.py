"""Print what differs between two captures, and what `doctor` found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from vlbench.nsys.compare import Difference
from vlbench.nsys.doctor import Check
from vlbench.nsys.text import duration, head, more, plain, print_table, say


def print_difference(found: Difference, console: Console, limit: int) -> None:
    """What appeared, vanished and moved, and how long it took."""
    for obstacle in found.obstacles:
        say(console, f"Not comparable: {obstacle}", "red")
    if found.obstacles:
        return
    for note in found.notes:
        say(console, f"Note: {note}", "yellow")
    for title, names in (("Appeared", found.appeared), ("Vanished", found.vanished)):
        for name in names[:limit] if limit else names:
            say(console, f"{title}: {name}")
        if limit and len(names) > limit:
            say(console, f"  ... {len(names) - limit} more {title.lower()}", "dim")
    if found.counters.empty:
        say(console, "Counters: the same in every range of both")
    else:
        rows = [
            (
                str(row["range"]),
                row["counter"],
                plain(row["a"]),
                plain(row["b"]),
                row["change"] + ("*" if row["per_instance"] else ""),
            )
            for _, row in head(found.counters, limit).iterrows()
        ]
        print_table(console, "Counters (* median per instance)", "range", ("counter", "a", "b", "change"), rows)
        more(console, found.counters, limit)
    busy = found.times[found.times["time"] == "busy_ns"].sort_values("b", ascending=False, kind="stable")
    if not busy.empty:
        times: list[tuple[str, ...]] = [
            (
                str(row["range"]),
                duration(row["a"]),
                duration(row["b"]),
                f"{row['b'] / row['a'] - 1:+.1%}" if row["a"] else "-",
            )
            for _, row in head(busy, limit).iterrows()
        ]
        print_table(console, "GPU busy, median per instance (shown, never judged)", "range", ("a", "b", "b/a"), times)
        more(console, busy, limit)


def print_checks(checks: Sequence[Check], console: Console) -> None:
    """One line per check, with the remedy below what is wrong."""
    for check in checks:
        mark = "ok  " if check.ok else "MISS" if check.code else "note"
        say(console, f"{mark} {check.name}: {check.found}", "" if check.ok else "yellow")
        if check.remedy:
            say(console, f"     -> {check.remedy}")
