"""Predictions as a sheet: bands, never beside measured times, what would pay, and what has no predicted time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from vlbench.export.fed import asked
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Value, Words, broken, checked, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few, in_three_digits
from vlbench.kernel_times.look_up import OUTSIDE
from vlbench.predicting.predicted import Band, Pay, Predicted, PredictedGroup, Prediction, StageTime

LEAST_PAY = 0.01
"""Share of the span from which on something is said to pay."""
ALONE = "not told apart"
FIRST, OUTSIDE_STAGES = ", first call", "outside of stages"
ABREAST = 4
"""GPUs that have room in one table."""
METHOD = (
    "Predicted, not measured: counted events on a host model from captures of eager PyTorch (fast to slow), products "
    "and attention by measured tables, other operations by their bytes. A band spans both hosts and the errors of the "
    "tables; a speed-up compares both rows under the same host and errors, so that its band is narrower."
)


def predicted_sheet(
    found: Prediction,
    limit: int = 0,
    more: Iterable[Part] = (),
    also: Iterable[JudgedRow] = (),
    json: Callable[[], str] | None = None,
) -> Sheet:
    """Tables for each call and GPU, what would pay, and what to know of it; of longer tables `limit` rows.

    `more` is what was then measured, `also` how that ended, and `json` all of it, where it is more than the prediction.
    """
    parts: list[Part] = []
    for group in found.groups:
        gpus = list(dict.fromkeys(row.gpu for row in group.rows))
        whole = {gpu: list(_of_gpu(found, group, gpu, limit)) for gpu in gpus}
        parts += [*(whole[gpus[0]] if len(gpus) == 1 else abreast(found, group, whole, limit)), Words()]
    parts += [*_without_time(found), Words(METHOD, "dim")]
    parts += more
    parts += [Words(f"{gpu}: {source}", "dim") for gpu, source in found.boards.items()]
    return checked(
        "vlbench predict", parts, _whole(found, also), json=json or (lambda: found.model_dump_json(indent=1))
    )


def _whole(found: Prediction, also: Iterable[JudgedRow]) -> Judged:
    """Is there a span for each row? What has none is missing."""
    return Judged(command="predict", before="the code", after="its prediction", rows=(*_spans(found), *also))


def _spans(found: Prediction) -> Iterator[JudgedRow]:
    return (
        JudgedRow(
            cell=f"{row.row} {title(found, group, row.gpu)}",
            measure="prediction",
            verdict=Verdict.SAME if row.span else Verdict.MISSING,
            reason=row.failed or "all of it was predicted",
        )
        for group in found.groups
        for row in group.rows
    )


def title(found: Prediction, group: PredictedGroup, gpu: str) -> str:
    """What was predicted, in one line."""
    return f"{asked(group)}, {found.dtype}, predicted for {gpu}"


def abreast(
    found: Prediction, group: PredictedGroup, whole: Mapping[str, Sequence[Part]], limit: int
) -> Iterator[Part]:
    """Several GPUs: a column for each, a few in a table. `whole` has all parts of each, whose tables programs get."""
    rows = {(row.row, row.gpu): row for row in group.rows}
    names, gpus = list(dict.fromkeys(row.row for row in group.rows)), list(whole)
    yield Words(title(found, group, ", ".join(gpus)) + FIRST * (group.rows[0].forward == "cold"), "bold")
    for some in (gpus[place : place + ABREAST] for place in range(0, len(gpus), ABREAST)):
        for told, cell in ABREAST_TOLD.items():
            columns: Columns[str] = {Column("variant", most=20): broken}
            columns |= {Column(gpu): partial(_on, rows, gpu, cell) for gpu in some}
            yield table_of("", names, columns, title=told.format(asked(group)))
        for name in names:
            yield from _of_row(name, {gpu: rows[name, gpu] for gpu in some if (name, gpu) in rows}, limit)
    said: dict[Words, list[str]] = {}
    for gpu, parts in whole.items():
        yield from (replace(part, title="", limit=0, lines=()) for part in parts if isinstance(part, Table))
        for each in (part for part in parts[1:] if isinstance(part, Words)):
            said.setdefault(each, []).append(gpu)
    for each, of in said.items():
        yield each if of == gpus else replace(each, text=f"{', '.join(of)}: {each.text}")


def _on(
    rows: Mapping[tuple[str, str], Predicted], gpu: str, cell: Callable[[Predicted], Cell | Value], name: str
) -> Cell | Value:
    return cell(rows[name, gpu]) if (name, gpu) in rows else "-"


def _of_row(name: str, on: Mapping[str, Predicted], limit: int) -> Iterator[Part]:
    """What would pay, and the stages, with a column for each GPU that a row is predicted for."""
    pays = {gpu: {each.what: each.saves for each in _worth(row)} for gpu, row in on.items()}
    ordered = {gpu: sorted(row.stages, key=lambda each: -each.span.high) for gpu, row in on.items()}
    stages = {gpu: {each.stage or OUTSIDE_STAGES: each.span for each in found} for gpu, found in ordered.items()}
    for told, what, most, bands in (
        ("what would pay saves ms", "what would pay", 78 - 11 * len(on), pays),
        ("stages in ms", "stage", 30, stages),
    ):
        if keys := dict.fromkeys(key for found in bands.values() for key in found):
            columns: Columns[str] = {Column(what, most=most): str}
            columns |= {Column(gpu): partial(_band_of, found) for gpu, found in bands.items()}
            yield table_of("", keys, columns, title=f"{name}: simulated, {told}", limit=limit, indent=2)


def _band_of(bands: Mapping[str, Band], what: str) -> Cell:
    return band_cell("", bands.get(what), 1e3)


def _worth(row: Predicted) -> list[Pay]:
    """What would save more than a hundredth of the span."""
    return [each for each in row.pays if each.saves.high > LEAST_PAY * (row.span.high if row.span else 0.0)]


def _span(row: Predicted) -> Cell:
    """With a "+" where heavy work is not in it."""
    cell = band_cell("span", row.span, 1e3)
    return replace(cell, shown=f"{cell.shown}+") if row.span and _heavy(row) else cell


def _heavy(row: Predicted) -> tuple[str, ...]:
    """Attention, products and convolutions of the row that have no time, by name."""
    parted = [told.partition(": ") for told in row.not_predicted]
    heavy = [name for name, _, why in parted if "att" in name or "conv" in name or "in the tables" in why]
    return tuple(dict.fromkeys("attention" if "att" in name else name.rpartition("::")[2] for name in heavy))


def _of_gpu(found: Prediction, group: PredictedGroup, gpu: str, limit: int) -> Iterator[Part]:
    rows = [row for row in group.rows if row.gpu == gpu]
    first = rows[0].forward == "cold"
    facts: dict[str, Value] = {"scenario": group.scenario, "point": group.point, "gpu": gpu, "dtype": found.dtype}
    facts |= {"figures": rows[0].figures}
    yield Words(title(found, group, gpu) + FIRST * first, "bold")
    columns: Columns[Predicted] = {
        Column("variant", most=20): lambda row: Cell(broken(row.row), row.row),
        Column("predicted\nms", "span"): _span,
        Column("GPU busy\nms", "busy"): lambda row: band_cell("busy", row.busy, 1e3),
        Column("idle\n%", "idle"): lambda row: band_cell("idle", row.idle, 1e2),
        Column("bound\nby", "bound"): lambda row: row.bound or "-",
        Column("floor\n% of span", "of_floor"): lambda row: band_cell("of_floor", row.of_floor, 1e2),
        Column("predicted\nspeed-up", "ratio"): _ratio,
    }
    yield table_of("predicted", rows, columns, facts=facts, gap=1)
    for lacking in dict.fromkeys(_heavy(row) for row in rows if row.span and _heavy(row)):
        of = ", ".join(row.row for row in rows if row.span and _heavy(row) == lacking)
        yield Words(f"+ {of}: without {', '.join(lacking)}, of which some has no time; it takes longer.", "yellow")
    for row in rows:
        yield from _more(row, facts, limit)


def _more(row: Predicted, facts: Mapping[str, Value], limit: int) -> Iterator[Part]:
    if row.failed:
        yield Words(f"{row.row}: no time is told: {row.failed}", "red")
        return
    for note, number in row.notes.items():
        yield Words(f"{row.row}: {number:,} products {note}.")
    if row.replayed:
        graph = f"{row.replayed:,} operations in a CUDA graph: one launch replays them, back to back"
        yield Words(f"{row.row}: {graph}.")
    worth = _worth(row)
    facts = {**facts, "variant": row.row}
    if worth:
        pays: Columns[Pay] = {
            Column("saves ms", "saves"): lambda each: band_cell("saves", each.saves, 1e3),
            Column("what would pay", "what", left=True, most=60): lambda each: each.what,
        }
        yield table_of("pays", worth, pays, facts=facts, title=f"{row.row}: simulated", limit=limit, indent=2)
    stages: Columns[StageTime] = {
        "stage": lambda each: each.stage or OUTSIDE_STAGES,
        Column("predicted ms", "span"): lambda each: band_cell("span", each.span, 1e3),
        Column("GPU busy ms", "busy"): lambda each: band_cell("busy", each.busy, 1e3),
    }
    ordered = sorted(row.stages, key=lambda each: -each.span.high)
    yield table_of("stages", ordered, stages, facts=facts, limit=limit, indent=2)


def band_cell(name: str, band: Band | None, scale: float, decimals: int = 1) -> Cell:
    """A band, times `scale` where people read it; "-" for none."""
    if band is None:
        return Cell("-", {f"{name}_low": None, f"{name}_high": None})
    text = band_words(band.low * scale, band.high * scale, decimals)
    return Cell(text, {f"{name}_low": band.low, f"{name}_high": band.high})


def band_words(low: float, high: float, decimals: int = 1) -> str:
    """Both ends in three digits at most, and so many behind the point: "10.2-19.0", "163-380", "3.4 to -0.2"."""
    between, most = " to " if low < 0 else "-", max(abs(low), abs(high))
    while decimals and most >= 10 ** (3 - decimals) - 0.5 * 10**-decimals:
        decimals -= 1
    if most >= 999.5:
        return f"{in_three_digits(low)}{between}{in_three_digits(high)}"
    return f"{low:.{decimals}f}{between}{high:.{decimals}f}"


def _ratio(row: Predicted) -> Cell:
    if row.ratio is None:
        return Cell("", {"ratio_low": None, "ratio_high": None})
    text = band_words(row.ratio.low, row.ratio.high, 2) if row.told_apart else ALONE
    return Cell(text, {"ratio_low": row.ratio.low, "ratio_high": row.ratio.high})


ABREAST_TOLD: dict[str, Callable[[Predicted], Cell | Value]] = {
    "{}: predicted ms": _span,
    "predicted speed-up": _ratio,
    "bound by, and idle %": lambda row: f"{row.bound or '-'} {band_cell('idle', row.idle, 1e2).shown}",
}


def _without_time(found: Prediction) -> Iterator[Words]:
    """Operations without a predicted time, by the reason, with the rows that they are in."""
    lacking: dict[str, dict[str, None]] = {}
    named: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    outside: dict[str, None] = {}
    rows = [row for group in found.groups for row in group.rows]
    for name, told in ((row.row, told) for row in rows for told in row.not_predicted):
        lacking.setdefault(told, {})[name] = None
    for told, names in lacking.items():
        operation, _, why = told.partition(": ")
        if OUTSIDE in why:
            outside[why.partition(f" {OUTSIDE}")[0]] = None
        else:
            named.setdefault((why, tuple(names)), []).append(operation)
    if outside:
        yield Words(f"Not predicted, as such sizes are not in the tables: {few(list(outside), 2)}.", "yellow")
    for (why, of), operations in named.items():
        yield Words(f"{', '.join(of)}: not predicted, {why}: {', '.join(operations)}.", "yellow")
    if named or outside:
        most = max(row.not_predicted_share for row in rows)
        yield Words(f"What is not predicted takes no time in these figures; it moves {most:.2%} of the bytes at most.")
