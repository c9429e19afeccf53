"""Verdicts on runs of other tools: a table for a terminal of 80 columns, and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from vlbench.export.judged_words import false_rows
from vlbench.export.sheet import Cell, Column, Part, Table, Words
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import duration, percent, signed

SCHEMA = "vlbench.judge/1"
COLOURS = {
    Verdict.IMPROVED: "green",
    Verdict.SAME: "default",
    Verdict.REGRESSED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MISSING: "magenta",
    Verdict.INACCURATE: "magenta",
}


def measured_change(row: JudgedRow) -> tuple[float, float, float] | None:
    """After / before of the figure itself, with its interval: a rate that rises is above 1, though its cost fell."""
    if row.ratio is None or row.low is None or row.high is None:
        return None
    return (row.ratio, row.low, row.high) if row.better == "less" else (1 / row.ratio, 1 / row.high, 1 / row.low)


def as_json(judged: Judged, floors: RunFloors) -> str:
    """The whole judgement as one JSON object."""
    entries = []
    for row in judged.rows:
        moved = measured_change(row)
        entries.append(
            {
                "name": row.cell,
                "unit": row.unit,
                "better": "lower" if row.better == "less" else "higher",
                "before": row.before,
                "after": row.after,
                "change": None if moved is None else dict(zip(("ratio", "low", "high"), moved, strict=True)),
                "confidence": row.confidence,
                "verdict": row.verdict,
                "reason": row.reason,
                "visible": row.visible,
            }
        )
    whole = {
        "schema": SCHEMA,
        "floors": asdict(floors),
        "rows": entries,
        "expected_false_rows": false_rows(judged),
        "exit_code": int(judged.exit_code),
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def runs_parts(judged: Judged, floors: RunFloors) -> Iterator[Part]:
    """The rows, then the reason of each row that is not the same, then what chance alone would do."""
    rows = []
    reasons: dict[tuple[Verdict, str], list[str]] = {}
    for row in judged.rows:
        cells = (_figure(row.before, row.unit), _figure(row.after, row.unit), _change(row), _sees(row.visible))
        rows.append((row.cell, *cells, Cell(row.verdict, style=COLOURS[row.verdict])))
        if row.verdict is not Verdict.SAME:
            reasons.setdefault((row.verdict, row.reason), []).append(row.cell)
    names = (Column("metric", most=24), "before", "after", "change %", "sees %", Column("verdict", left=True))
    yield Table("", names, rows, gap=1)
    yield Words()
    for (verdict, reason), cells_of in reasons.items():
        yield Words(f"{verdict} {', '.join(cells_of)}: {reason}", COLOURS[verdict])
    if called := false_rows(judged):
        sure = f"Change with its {100 * floors.confidence:g} % interval"
        chance = f"By chance alone {called:.2g} of {len(judged.rows)} rows would be called."
        yield Words(f"{sure}; 'sees' is the smallest change these runs would show. {chance}", "dim")


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


def _change(row: JudgedRow) -> str:
    moved = measured_change(row)
    if moved is None:
        return "-"
    ratio, low, high = moved
    if low == high:
        return signed(ratio)
    return f"{signed(ratio)} [{signed(low)}, {signed(high)}]"
