"""Predictions as a sheet: bands, never beside measured times, what would pay, and what has no predicted time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlbench.export.fed import asked
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Value, Words, broken, checked, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few, in_three_digits
from vlbench.kernel_times.look_up import OUTSIDE
from vlbench.predicting.predicted import Band, Pay, Predicted, PredictedGroup, Prediction, StageTime
from vlbench.record.grouping import gathered

LEAST_PAY = 0.01
"""Share of the span from which on something is said to pay."""
ALONE = "not told apart"
FIRST, OUTSIDE_STAGES = ", first call", "outside of stages"
REPLAYED = "operations in a CUDA graph: one launch replays them, back to back"
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
    found: Prediction, group: PredictedGroup, alone: Mapping[str, Sequence[Part]], limit: int
) -> Iterator[Part]:
    """Several GPUs, a column for each. `alone` has the parts of each GPU as they are where it stands alone.

    Of "baseline" and "best" on h100 and l40s, people get three tables of two rows and two columns (milliseconds,
    speed-up, what bounds them), then for either row what would pay and its stages, and last what is to be said: once,
    or as "l40s: ..." where it holds of one. Programs get the tables of each GPU.
    """
    gpus = list(alone)
    yield Words(title(found, group, ", ".join(gpus)) + FIRST * (group.rows[0].forward == "cold"), "bold")
    for start in range(0, len(gpus), ABREAST):
        yield from _tables_abreast(group, gpus[start : start + ABREAST], limit)
    for parts in alone.values():
        yield from (replace(part, title="", limit=0, lines=()) for part in parts if isinstance(part, Table))
    yield from _said_once(alone)


def _tables_abreast(group: PredictedGroup, gpus: Sequence[str], limit: int) -> Iterator[Table]:
    """For people: a table of all rows for each of ABREAST_TOLD, then those of each row, with a column for each GPU."""
    rows = {(row.row, row.gpu): row for row in group.rows}
    names = dict.fromkeys(row.row for row in group.rows)
    by_row = {name: {gpu: rows[name, gpu] for gpu in gpus if (name, gpu) in rows} for name in names}
    for told, cell in ABREAST_TOLD.items():
        of_gpus = {broken(name): {gpu: cell(row) for gpu, row in on.items()} for name, on in by_row.items()}
        yield _with_gpus(Column("variant", most=20), of_gpus, gpus, title=told.format(asked(group)))
    for name, on in by_row.items():
        yield from _of_row(name, on, limit)


def _of_row(name: str, on: Mapping[str, Predicted], limit: int) -> Iterator[Table]:
    """What would pay in a row, and its stages, by the GPUs that it is predicted for."""
    pays: dict[str, dict[str, Cell | Value]] = {}
    stages: dict[str, dict[str, Cell | Value]] = {}
    for gpu, row in on.items():
        for pay in _worth(row):
            pays.setdefault(pay.what, {})[gpu] = band_cell("", pay.saves, 1e3)
        for stage in _longest_first(row.stages):
            stages.setdefault(stage.stage or OUTSIDE_STAGES, {})[gpu] = band_cell("", stage.span, 1e3)
    simulated, shown = f"{name}: simulated", {"limit": limit, "indent": 2}
    if pays:
        first = Column("what would pay", most=78 - 11 * len(on))
        yield _with_gpus(first, pays, list(on), title=f"{simulated}, what would pay saves ms", **shown)
    if stages:
        yield _with_gpus(Column("stage", most=30), stages, list(on), title=f"{simulated}, stages in ms", **shown)


def _with_gpus(
    first: Column, cells: Mapping[str, Mapping[str, Cell | Value]], gpus: Sequence[str], **options: Any
) -> Table:
    """A table for people: `cells` by what stands in the `first` column, and by GPU; "-" where there is none."""
    rows = [[name, *(of_gpu.get(gpu, "-") for gpu in gpus)] for name, of_gpu in cells.items()]
    return Table("", [first, *map(Column, gpus)], rows, **options)


def _said_once(alone: Mapping[str, Sequence[Part]]) -> Iterator[Words]:
    """What is said under the title of each GPU, with the GPUs that it holds of where those are not all."""
    said = ((each, gpu) for gpu, (_, *parts) in alone.items() for each in parts if isinstance(each, Words))
    for each, gpus in gathered(said).items():
        yield each if gpus == list(alone) else replace(each, text=f"{', '.join(gpus)}: {each.text}")


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
    yield from _beside(rows)
    for row in rows:
        yield from _more(row, facts, limit)


def _beside(rows: Iterable[Predicted]) -> Iterator[Words]:
    """What is to be said of rows beside their times: each thing once, with the rows of which it is said."""
    said: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        told = {f"products {note}": number for note, number in row.notes.items()}
        for what, number in (told | {REPLAYED: row.replayed}).items():
            if number:
                said.setdefault(what, {}).setdefault(f"{number:,}", []).append(row.row)
    for what, numbers in said.items():
        of = "; ".join(f"{', '.join(names)}: {number}" for number, names in numbers.items())
        yield Words(f"{of} {what}.")


def _more(row: Predicted, facts: Mapping[str, Value], limit: int) -> Iterator[Part]:
    if row.failed:
        yield Words(f"{row.row}: no time is told: {row.failed}", "red")
        return
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
    yield table_of("stages", _longest_first(row.stages), stages, facts=facts, limit=limit, indent=2)


def _longest_first(stages: Sequence[StageTime]) -> list[StageTime]:
    return sorted(stages, key=lambda each: -each.span.high)


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
