"""A comparison on a terminal of 80 columns: what fails first, each with its reason and what moved, the verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vlbench.export.judged_runs import COLOURS
from vlbench.export.judged_words import (
    GROUPS,
    chance,
    change_with_interval,
    fails,
    figures,
    is_quiet,
    line_in_words,
    ordered,
    outcome,
    pair,
    place,
    shown,
    spelt,
    tally,
    took,
)
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import percent
from vlbench.untrusted.names import line

FEW = 4
"""Rows that are the same and are named one by one; of more, this many are named."""
TABLE = 12
"""Times that are the same and are shown with their figures."""


def judged_view(judged: Judged) -> RenderableType:
    """All of it. Ends with the verdict in words and the exit code."""
    parts: list[RenderableType] = [Text(f"vlbench {judged.command}: {judged.before} -> {judged.after}", style="bold")]
    rows = ordered(judged)
    for row in rows:
        if not is_quiet(row):
            parts += [Text(), *_row(row, judged)]
    if quiet := [row for row in rows if is_quiet(row)]:
        parts += [Text(), *_quiet(quiet)]
    parts.append(Text())
    parts += [Text(words) for words in (chance(judged), *(f"Note: {note}" for note in judged.notes)) if words]
    if judged.remedy and judged.exit_code:
        parts.append(Text(f"What to do: {judged.remedy}"))
    if judged.written:
        parts.append(Text(f"The new figures, ready to be accepted, are in {judged.written}"))
    return Group(*parts, last_line(judged))


def last_line(judged: Judged) -> Text:
    """The verdict on the whole and the exit code."""
    style = "bold red" if judged.exit_code else "bold green"
    return Text(
        f"{outcome(judged).upper()}: {tally(judged)}; exit code {int(judged.exit_code)}{took(judged)}", style=style
    )


def _row(row: JudgedRow, judged: Judged) -> Iterator[RenderableType]:
    silent = "" if row.gates else " (has no say)"
    style = COLOURS[row.verdict] if row.gates else "dim"
    bold = "bold " if fails(row, judged) else ""
    yield Text.assemble((str(row.verdict).upper(), bold + style), f"{silent} {row.measure}: {line(row.cell)}")
    yield _indented(Text(line(row.reason, most=2000)))
    if words := figures(row):
        yield _indented(Text(words))
    for kinds in GROUPS:
        moves, more = shown(row, *kinds)
        if kinds == ("line",):
            for move in moves:
                yield from _line(move)
        elif moves:
            yield _indented(_moves(moves), 4)
        if more:
            yield _indented(Text(more, style="dim"), 4)


def _moves(moves: Sequence[Move]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold", max_width=32)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for move in moves:
        before, after = pair(move.before, move.after, move.unit)
        table.add_row(Text(spelt(move)), f"{before} ->", Text(after, style=_style(move)), Text(line(move.stage)))
    return table


def _line(move: Move) -> Iterator[RenderableType]:
    what, source = line_in_words(move)
    yield _indented(Text.assemble(f"{place(move)} ".lstrip(), (what, _style(move))), 4)
    yield _indented(Text(source, overflow="ellipsis", no_wrap=True, style="dim"), 6)
    if move.advice:
        yield _indented(Text(f"-> {line(move.advice)}", style="green"), 6)


def _quiet(rows: Sequence[JudgedRow]) -> Iterator[RenderableType]:
    """What is the same: times with their figures, the rest in a line."""
    for number, measure in enumerate(dict.fromkeys(row.measure for row in rows)):
        same = [row for row in rows if row.measure == measure]
        if number:
            yield Text()
        if measure == "time" and len(same) <= TABLE:
            yield _same_times(same)
        else:
            yield Text(_condensed(measure, same))


def _same_times(rows: Sequence[JudgedRow]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("the same in time", overflow="fold")
    table.add_column("change %", justify="right", no_wrap=True)
    table.add_column("sees", justify="right", no_wrap=True)
    for row in rows:
        sees = "-" if row.visible is None else percent(row.visible)
        table.add_row(Text(line(row.cell)), change_with_interval(row).partition(" at ")[0] or "-", sees)
    return table


def _condensed(measure: str, rows: Sequence[JudgedRow]) -> str:
    names = [line(row.cell) for row in rows]
    more = f" and {len(names) - FEW} more (--csv)" if len(names) > FEW else ""
    cells = f"{len(names)} cells are" if len(names) > 1 else "1 cell is"
    seen = [row.visible for row in rows if row.visible is not None]
    would = f" (each would have shown {percent(max(seen))})" if len(seen) == len(rows) else ""
    return f"{cells} the same in {measure}{would}: {', '.join(names[:FEW])}{more}."


def _style(move: Move) -> str:
    """Worse is red: of counters, lines, operations and seconds less is better."""
    return COLOURS[Verdict.REGRESSED if move.after > move.before else Verdict.IMPROVED]


def _indented(part: RenderableType, columns: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, columns), expand=False)
