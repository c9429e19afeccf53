"""Comparisons as parts of a sheet: what fails first, each with its reason and what moved, the verdict last."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from vlbench.export import wording
from vlbench.export.sheet import Cell, Column, Columns, Part, Table, Words, table_of
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few, in_digits, number_of, percent, time_of
from vlbench.record.grouping import gathered
from vlbench.untrusted.names import line

FEW = 4
"""Rows that are the same and are named one by one; of more, this many are named."""
TABLE = 12
"""Times that are the same and are shown with their figures."""
REASONS = 100
"""Reasons that a person is told of rows of other tools, what fails first, and names that have the same one."""
RUNS_SCHEMA = "vlbench.judge/1"
COLOURS = {
    Verdict.ACCEPTED: "yellow",
    Verdict.IMPROVED: "green",
    Verdict.FEWER: "yellow",
    Verdict.SAME: "default",
    Verdict.REGRESSED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MISSING: "magenta",
    Verdict.INACCURATE: "magenta",
}


def judged_parts(judged: Judged) -> Iterator[Part]:
    """All of it. Ends with the verdict in words and the exit code."""
    if first := wording.unenforced(judged):
        yield Words(first, "bold yellow")
    yield Words(f"vlbench {judged.command}: {judged.before} -> {judged.after}", "bold")
    rows = wording.ordered(judged)
    for row in rows:
        if not wording.is_quiet(row):
            yield from (Words(), *_row(row, judged))
    for measure in dict.fromkeys(row.measure for row in rows if wording.is_quiet(row)):
        yield from (Words(), _quiet(measure, [row for row in rows if wording.is_quiet(row) and row.measure == measure]))
    yield Words()
    asides = (wording.chance(judged), *wording.asides(judged))
    yield from (Words(aside) for aside in asides if aside)
    if judged.remedy and judged.finding:
        yield Words(f"What to do: {judged.remedy}")
    if judged.written:
        yield Words(f"The new figures, ready to be accepted, are in {judged.written}")
    yield last_line(judged)


def last_line(judged: Judged, of: str = "") -> Words:
    """The verdict on the whole and the exit code; `of` says of what the rows are."""
    outcome = wording.outcome(judged).upper()
    text = f"{outcome}: {wording.tally(judged)}{of}; exit code {int(judged.exit_code)}{wording.took(judged)}"
    return Words(text, "bold red" if judged.exit_code else "bold green")


def _row(row: JudgedRow, judged: Judged) -> Iterator[Part]:
    verdict = str(row.verdict).upper()
    silent = "" if row.gates else " (has no say)"
    bold = "bold " if wording.fails(row, judged) else ""
    style = bold + (COLOURS[row.verdict] if row.gates else "dim")
    yield Words(f"{verdict}{silent} {row.measure}: {line(row.cell)}", style, styled=verdict)
    yield Words(line(row.reason, most=2000), indent=2)
    if words := wording.figures(row):
        yield Words(words, indent=2)
    for kinds in wording.GROUPS:
        moves, more = wording.moves_shown(row, *kinds)
        if kinds == ("line",):
            for move in moves:
                yield from _line(move)
        elif moves:
            yield _moves(moves)
            for advice, of in _advised(moves).items():
                yield Words(f"-> {line(f'{advice} ({of})')}", "green", indent=6)
        if more:
            yield Words(more, "dim", indent=4)


def _moves(moves: Sequence[Move]) -> Table:
    rows = []
    for move in moves:
        before, after = wording.pair(move.before, move.after, move.unit)
        rows.append((wording.move_name(move), f"{before} ->", Cell(after, style=_style(move)), line(move.stage)))
    return Table("", [Column("", most=32), "", "", Column("", left=True)], rows, indent=4)


def _advised(moves: Sequence[Move]) -> dict[str, str]:
    """What removes counters or operations, with the names of those that it removes."""
    found = gathered((move.advice, wording.move_name(move)) for move in moves if move.advice)
    return {advice: ", ".join(names) for advice, names in found.items()}


def _line(move: Move) -> Iterator[Words]:
    what, source = wording.line_in_words(move)
    where = f"{wording.place(move)} ".lstrip()
    yield Words(where + what, _style(move), indent=4, styled=what)
    yield Words(source, "dim", indent=6, cut=True)
    if move.advice:
        yield Words(f"-> {line(move.advice)}", "green", indent=6)


def _quiet(measure: str, rows: Sequence[JudgedRow]) -> Part:
    """What is the same: times with their figures, the rest in a line."""
    if measure in ("time", "metric") and len(rows) <= TABLE:
        columns: Columns[JudgedRow] = {
            "the same" if measure == "metric" else "the same in time": lambda row: line(row.cell),
            "change %": _change,
            "detectable": lambda row: wording.detectable(row) or "-",
        }
        return table_of("", rows, columns)
    names = [line(row.cell) for row in rows]
    where = " (--csv)" if len(names) > FEW else ""
    cells = f"{len(names)} cells are" if len(names) > 1 else "1 cell is"
    visible = [row.visible for row in rows if row.visible is not None]
    would = f" (each would have shown {percent(max(visible))})" if len(visible) == len(rows) else ""
    inside = "" if measure == "metric" else f" in {measure}"
    return Words(f"{cells} the same{inside}{would}: {few(names, FEW)}{where}.")


def _change(row: JudgedRow) -> str:
    """Without how sure that is, "-" where it is not known."""
    return wording.change_with_interval(row).partition(" at ")[0] or "-"


def _style(move: Move) -> str:
    """Worse is red: of counters, lines, operations and seconds less is better."""
    return COLOURS[Verdict.REGRESSED if move.after > move.before else Verdict.IMPROVED]


def runs_json(judged: Judged, floors: RunFloors) -> str:
    """A judgement on runs of other tools as one JSON object."""
    entries = []
    for row in judged.rows:
        change = wording.measured_change(row)
        entry: dict[str, object] = {"name": row.cell, "better": row.better}
        entry |= row.model_dump(include={"unit", "before", "after", "confidence", "verdict", "reason", "visible"})
        entry["change"] = None if change is None else dict(zip(("ratio", "low", "high"), change, strict=True))
        entries.append(entry)
    whole = {
        "schema": RUNS_SCHEMA,
        "floors": asdict(floors),
        "rows": entries,
        "expected_false_rows": wording.false_rows(judged),
        "notes": judged.notes,
        "exit_code": int(judged.exit_code),
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def runs_parts(judged: Judged, floors: RunFloors) -> Iterator[Part]:
    """Verdicts on runs of other tools: the rows, why each is not the same, what chance would do, and the whole."""
    columns: Columns[JudgedRow] = {
        Column("metric", most=24): lambda row: row.cell,
        "before": lambda row: _figure(row.before, row.unit),
        "after": lambda row: _figure(row.after, row.unit),
        "change %": lambda row: _change(row).replace(" %", "") if wording.measured_change(row) else "-",
        "detect-\nable %": lambda row: wording.detectable(row).removesuffix(" %") or "-",
        Column("verdict", left=True): lambda row: Cell(row.verdict, style=COLOURS[row.verdict]),
    }
    rows, confidence = number_of(len(judged.rows), "row"), f"{100 * floors.confidence:g} %"
    yield table_of("", judged.rows, columns, gap=1)
    yield Words()
    moved = [row for row in judged.rows if row.verdict is not Verdict.SAME]
    reasons = gathered(((row.verdict, row.reason), row.cell) for row in moved)
    for verdict, reason in sorted(reasons, key=lambda each: wording.ORDER.index(each[0]))[:REASONS]:
        yield Words(f"{verdict} {few(reasons[verdict, reason], REASONS)}: {reason}", COLOURS[verdict])
    if (more := len(reasons) - REASONS) > 0:
        yield Words(f"and {number_of(more, 'reason')} more (--json)", "dim")
    if chance := wording.chance(judged):
        yield Words(f"Change with its {confidence} interval. {chance}", "dim")
    yield from (Words(aside, "dim") for aside in wording.asides(judged))
    yield last_line(judged, f", of {rows} at {confidence} confidence")


def _figure(value: float | None, unit: str) -> str:
    """Four digits with a short unit: times in that which people would take, rates as "per second"."""
    if value is None:
        return "-"
    return time_of(value, unit) or in_digits(value) + "/s" * unit.endswith(("/s", "/sec"))
