"""What the rows of a run ask of a GPU at the size of a released model, beside what they are here."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from vlbench.export import result_tables as tables
from vlbench.export.predicted import ALONE, band_words
from vlbench.export.sheet import Cell, Column, Columns, Part, Value, Words, figure, table_of
from vlbench.judging.summary import Summary
from vlbench.judging.words import in_three_digits, number_of
from vlbench.record.at_scale import AtScale, PredictedSpan, RowAtScale
from vlbench.record.counts import Tally
from vlbench.record.grouping import gathered
from vlbench.record.schema import CellGroup

PREDICTED = (
    "predicted, not measured: ms of one such call on an H100, from a fast host with\n"
    "short kernels to a slow one with long kernels; speed-up: of both rows under one\n"
    "host and the same errors of the tables"
)
MEANS = (
    "What this means: at that size one call asks a GPU for this much, whatever this machine's milliseconds are; a row "
    "with fewer waits and operations leaves it idle less often. Predictions are bands of a model of host and queue; "
    "only a GPU shows what is so, and `vlbench predict` holds two rows against each other in pairs."
)


def at_scale_parts(group: CellGroup, found: Sequence[Summary]) -> Iterator[Part]:
    """The table, what was not counted, and what it all means; nothing where nothing was counted."""
    counted = group.at_scale
    if counted is None:
        return
    rows = {each.name: each for each in counted.rows}
    shown = [each for each in found if each.row.name in rows]
    columns: Columns[Summary] = {
        **tables.VARIANT,
        Column("check", "passed"): _check,
        Column("here", "speed_up"): _speed_up,
        **{heading: _figure(rows, *names) for heading, names in FIGURES.items()},
        PLANS: lambda each: _cell(rows[each.row.name].cold, "attention_plans"),
    }
    facts: dict[str, Value] = {"scenario": group.scenario, "point": counted.point, "model": counted.model}
    facts |= {"dtype": counted.dtype, "profile": counted.profile}
    yield from (Words(), table_of("at_scale", shown, columns, facts=facts, title=_title(counted), gap=1))
    yield from _reasons("not counted", {each.name: each.failed for each in counted.rows})
    left_out = {each.row.name: _why_left_out(each) for each in found if each.row.name not in rows}
    yield from _reasons("not in this table", left_out, "dim")
    predicted = {each.name: span for each in counted.rows for span in each.predicted}
    if predicted:
        shown = [each for each in shown if each.row.name in predicted]
        columns = tables.VARIANT | {
            Column("fast host", "predicted_low"): lambda each: _ms(predicted[each.row.name].low),
            Column("slow host", "predicted_high"): lambda each: _ms(predicted[each.row.name].high),
            Column("predicted\nspeed-up", "predicted_ratio"): lambda each: _paired(predicted, each),
        }
        yield from (Words(), table_of("predicted_at_scale", shown, columns, facts=facts, title=PREDICTED))
        yield from _reasons("not predicted", {name: each.failed for name, each in predicted.items()})
    yield Words(MEANS)


FIGURES = {
    Column("waits", "host_syncs"): ("host_syncs", "allowed_syncs"),
    Column("uploads"): ("uploads", "implicit_uploads"),
    Column("attn\ncalls", "attention_calls"): ("attention_calls",),
    Column("device\nops", "device_operations"): ("device_operations",),
}
"""Column -> counters of the second forward that it adds up."""
LEFT = "it was not measured for want of time; `--resume` measures and counts it"
PLANS = Column("first\nplans", "first_attention_plans")


def _why_left_out(each: Summary) -> str:
    if each.row.slow_down:
        return "it is slowed down on purpose"
    return LEFT if each.row.plan == "inside" else "its plan is handed in"


def _title(counted: AtScale) -> str:
    patches = sum(t * h * w for t, h, w in counted.grids)
    fed = f"{number_of(len(counted.grids), 'grid')}, {patches:,} patches"
    return (
        f"counted, not timed: {counted.model}, {counted.dtype}, {fed},\n"
        f"as on an H100 ({counted.profile} with cuDNN {counted.cudnn}); here: speed-up on this machine"
    )


def _check(each: Summary) -> Cell:
    passed = each.accuracy.passed if each.accuracy else None
    return Cell("-" if passed is None else "pass" if passed else "FAIL", passed, "bold red" if passed is False else "")


def _speed_up(each: Summary) -> Cell:
    if each.estimate is None:
        return Cell("1" if each.row.is_reference and each.seconds else "-", None)
    told = f"{each.estimate.speedup:.2f}x"
    return Cell(f"({told})" if each.effect == "unclear" else told, each.estimate.speedup, tables.EFFECTS[each.effect])


def _figure(rows: dict[str, RowAtScale], *names: str) -> Callable[[Summary], Cell]:
    return lambda each: _cell(rows[each.row.name].warm, *names)


def _cell(tally: Tally | None, *names: str) -> Cell:
    if tally is None:
        return Cell("-", None)
    much = sum(getattr(tally, name) for name in names)
    return Cell(f"{much:,}", much)


def _ms(seconds: float | None) -> Cell:
    return figure(seconds, lambda given: "-" if given is None else in_three_digits(given * 1e3))


def _paired(predicted: Mapping[str, PredictedSpan], each: Summary) -> Cell:
    """The span of what the row is held against over its own, in pairs."""
    against = None if each.row.is_reference else predicted.get(each.row.reference)
    band = against.over(predicted[each.row.name]) if against else None
    low, high = band or (None, None)
    values = {"predicted_ratio_low": low, "predicted_ratio_high": high}
    if low is None or high is None:
        return Cell("" if each.row.is_reference else "-", values)
    return Cell(ALONE if round(low, 2) <= 1 <= round(high, 2) else band_words(low, high, 2), values)


def _reasons(what: str, failed: Mapping[str, str | None], style: str = "red") -> Iterator[Words]:
    """Reasons, each with the rows that it holds for."""
    names = gathered((reason, name) for name, reason in failed.items() if reason)
    yield from (Words(f"{', '.join(of)}: {what}: {reason}", style) for reason, of in names.items())
