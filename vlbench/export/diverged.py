"""Where towers part, as a sheet: the first stage and token in words, and the stages that are furthest off."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from vlbench.export.result_tables import error_text
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Words, checked, figure, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few
from vlbench.record.base import grid_text
from vlbench.record.divergence import Divergence, Stage

SHOWN = 8
"""Stages of a table that people read: the first that part, else those that come nearest to what is allowed."""
NEAREST = 3
FEW = 4
MOST_UNSEEN = 6
Row = dict[str, Stage]
"""A stage by mode."""


def verdict_of(each: Divergence) -> Verdict:
    """Do they part, was all of it compared?"""
    if each.parts:
        return Verdict.INACCURATE
    return Verdict.MISSING if each.failed or each.unmatched else Verdict.SAME


def diverged_sheet(found: Sequence[Divergence], written: Sequence[Path]) -> Sheet:
    """Of each tower where it parts from its reference, in words and as a table per dtype."""
    parts: list[Part] = []
    for each in found:
        parts += [Words(f"{each.tower} against {each.reference}, {each.device}", "bold"), *_words(each)]
        for dtype in each.dtypes:
            parts += [Words(), _table(each, dtype)]
        parts.append(Words())
    if found:
        grids = ", ".join(grid_text(grid) for grid in found[0].grids)
        parts.append(Words(f"Fed in: noise on {grids}. Every stage is in --json.", "dim"))
    parts += [Words(f"Written: {path}") for path in written]
    rows = tuple(_judged(each) for each in found)
    if not found:
        return Sheet("vlbench verify", parts, own={"json": lambda: json.dumps([str(path) for path in written])})
    judged = Judged(command="verify", before="the reference", after="towers", rows=rows, false_alarms=None)
    return checked("vlbench verify", parts, judged, json=lambda: _json(found))


def _json(found: Sequence[Divergence]) -> str:
    return json.dumps([each.model_dump(mode="json") | {"verdict": verdict_of(each)} for each in found], indent=1)


def _judged(each: Divergence) -> JudgedRow:
    reason = " ".join(words.text for words in _words(each))
    cell = f"{each.tower} against {each.reference}"
    return JudgedRow(cell=cell, measure="accuracy", verdict=verdict_of(each), reason=reason)


def _words(each: Divergence) -> Iterator[Words]:
    for dtype in each.dtypes:
        if stage := each.first(dtype):
            lock = any(run.first is stage and run.mode == "lock-step" for run in each.runs)
            alone = "" if lock else "no stage parts by itself, and free-running "
            error, limit, _ = _told(stage)
            rows = f"{stage.beyond:,} of {stage.rows:,} rows are" if stage.beyond else "all rows together are"
            place = stage.first.words if stage.first else ""
            told = f"{alone}they part at {stage.name}, {place}: {rows} off by up to {error_text(error, 1)}"
            yield Words(f"{dtype}: {told}, where {error_text(limit, 1)} is allowed.", "red")
            last, unseen = each.unseen(dtype)
            if unseen:
                between = f"the fault lies between {last or 'the input'} and {stage.name}"
                yield Words(f"{dtype}: neither tower has {few(unseen, MOST_UNSEEN)}: {between}.", "yellow")
        elif hidden := each.not_decidable(dtype):
            own = next(s.own for run in each.runs if run.dtype == dtype for s in run.stages if s.name == hidden.name)
            told = f"off by {error_text(_told(hidden)[0], 1)} in float32, and the reference's own error is"
            yield Words(f"{dtype}: not decidable at {hidden.name}: {told} {error_text(own or 0, 1)}.", "yellow")
        else:
            beside = "" if dtype == "float32" or "float32" in each.dtypes else _BELOW.format(dtype=dtype)
            yield Words(f"{dtype}: they do not part.{beside}", "green")
    if each.unmatched:
        yield Words(f"Not compared: {few(each.unmatched, FEW)}.", "yellow")
    if each.failed:
        yield Words(f"It gave no result {each.failed}.", "red")


_BELOW = " What is less, such as another eps or flavour of GELU, is not decidable in {dtype}."


def _told(stage: Stage) -> tuple[float, float, float | None]:
    """Error, limit and own error: of the worst row or of all, whichever takes more of its limit."""
    of_all = stage.rms * (stage.limit or 1) > stage.error * (stage.rms_limit or 1)
    return (stage.rms, stage.rms_limit, stage.own_rms) if of_all else (stage.error, stage.limit, stage.own)


def _table(each: Divergence, dtype: str) -> Table:
    rows: dict[str, Row] = {}
    for run in each.runs:
        for stage in run.stages if run.dtype == dtype else ():
            rows.setdefault(stage.name, {})[run.mode] = stage
    apart = [row for row in rows.values() if any(stage.parts for stage in row.values())]
    near = sorted(rows.values(), key=lambda row: -max(stage.share for stage in row.values()))[:NEAREST]
    shown = apart[:SHOWN] or [row for row in rows.values() if row in near]
    columns: Columns[Row] = {Column("stage", most=24): lambda row: next(iter(row.values())).name}
    for mode in ("lock-step", "free-running"):
        columns[Column(f"{mode}\nerror", f"{mode}_error")] = partial(_cell, mode, 0)
        columns[Column("allowed", f"{mode}_allowed")] = partial(_cell, mode, 1)
    if dtype != "float32":
        columns[Column("own\nerror", "own_error")] = partial(_cell, "lock-step", 2)
    columns[Column("", "parts", left=True)] = _verdict
    title = f"{dtype}: {len(shown)} of {len(apart)} stages that part, of {len(rows)}"
    title = title if apart else f"{dtype}: the nearest of {len(rows)} stages"
    facts = {"tower": each.tower, "reference": each.reference, "dtype": dtype}
    return table_of("diverged", shown, columns, facts=facts, title=title)


def _cell(mode: str, which: int, row: Row) -> Cell:
    return figure(_told(row[mode])[which] if mode in row else None, partial(error_text, digits=1))


def _verdict(row: Row) -> Cell:
    parts = any(stage.parts for stage in row.values())
    return Cell("parts" if parts else "", parts, "bold red" if parts else "")
