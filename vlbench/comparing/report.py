"""A table of verdicts, for a terminal of 80 columns and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from vlbench.comparing.runs import Row
from vlbench.judging.evidence import expected_false_rows
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import duration, percent, signed
from vlbench.record.runs import Better

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "vlbench.judge/1"
COLOURS = {
    Verdict.IMPROVED: "green",
    Verdict.SAME: "default",
    Verdict.REGRESSED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MISSING: "magenta",
    Verdict.INACCURATE: "magenta",
}


def measured_change(row: Row) -> tuple[float, float, float] | None:
    """After / before of the figure itself, with its interval: a rate that rises is above 1, though its cost fell."""
    estimate = row.judgement.estimate
    if estimate is None:
        return None
    if row.better is Better.LOWER:
        return estimate.ratio, estimate.low, estimate.high
    return 1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low


def as_json(rows: Sequence[Row], floors: RunFloors, code: ExitCode) -> str:
    """The whole judgement as one JSON object."""
    entries = []
    for row in rows:
        moved = measured_change(row)
        entries.append(
            {
                "name": row.name,
                "unit": row.unit,
                "better": row.better,
                "before": row.before,
                "after": row.after,
                "change": None if moved is None else dict(zip(("ratio", "low", "high"), moved, strict=True)),
                "confidence": row.judgement.estimate.confidence if row.judgement.estimate else None,
                "verdict": row.judgement.verdict,
                "reason": row.judgement.reason,
                "visible": row.judgement.visible,
            }
        )
    whole = {
        "schema": SCHEMA,
        "floors": asdict(floors),
        "rows": entries,
        "expected_false_rows": _false_rows(rows, floors),
        "exit_code": int(code),
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def as_table(rows: Sequence[Row], floors: RunFloors) -> RenderableType:
    """The rows, then the reason of each row that is not the same, then what chance alone would do."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric", overflow="fold", max_width=24)
    for title in ("before", "after", "change %", "sees %"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    reasons: dict[tuple[Verdict, str], list[str]] = {}
    for row in rows:
        judgement = row.judgement
        cells = (_figure(row.before, row.unit), _figure(row.after, row.unit), _change(row), _sees(judgement.visible))
        table.add_row(Text(row.name), *cells, Text(judgement.verdict, style=COLOURS[judgement.verdict]))
        if judgement.verdict is not Verdict.SAME:
            reasons.setdefault((judgement.verdict, judgement.reason), []).append(row.name)
    lines = [
        Text.assemble((verdict, COLOURS[verdict]), f" {', '.join(names)}: {reason}")
        for (verdict, reason), names in reasons.items()
    ]
    note = (
        f"Change with its {100 * floors.confidence:g} % interval; 'sees' is the smallest change these runs would show. "
        f"By chance alone {_false_rows(rows, floors):.2g} of {len(rows)} rows would be called."
    )
    return Group(table, Text(), *lines, Text(note if _false_rows(rows, floors) else "", style="dim"))


def _false_rows(rows: Sequence[Row], floors: RunFloors) -> float:
    judged = sum(row.judgement.visible is not None for row in rows)
    return expected_false_rows(judged, 1 - floors.confidence)


def _figure(value: float | None, unit: str) -> str:
    """Four digits with a short unit; seconds as people read them, rates as "per second"."""
    if value is None:
        return "-"
    if unit == "s":
        return duration(value)
    if unit in {"ms", "us", "ns"}:
        return f"{value:.4g} {unit}"
    return f"{value:.4g}{'/s' if unit.endswith(('/s', '/sec')) else ''}"


def _sees(visible: float | None) -> str:
    return "-" if visible is None else percent(visible).removesuffix(" %")


def _change(row: Row) -> str:
    moved = measured_change(row)
    if moved is None:
        return "-"
    ratio, low, high = moved
    if low == high:
        return signed(ratio)
    return f"{signed(ratio)} [{signed(low)}, {signed(high)}]"
