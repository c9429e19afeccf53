"""A prediction beside what was then measured of it: each band with the time that it should have held."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from vlbench.export.predicted import band_cell, predicted_sheet
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Value, Words, broken, figure, table_of
from vlbench.judging.judged import JudgedRow
from vlbench.judging.summary import Summary, seconds_by_trial, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import change, milliseconds
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Band, Predicted, Prediction

HIT, PARTLY = "in the band", "partly in it"
NOT_MEASURED = "nothing was measured of it"


@dataclass(frozen=True)
class HeldRow:
    """One row: what was predicted, and what was measured."""

    scenario: str
    point: str
    row: Predicted
    seen: Summary | None
    """None where it was not measured."""
    processes: tuple[float, ...] = ()
    """Seconds: the median of each process that timed it, which on one machine may lie far apart."""

    @property
    def seconds(self) -> float | None:
        """The median that was measured."""
        return self.seen.seconds if self.seen else None

    @property
    def over_middle(self) -> float | None:
        """Measured over the middle of what was predicted."""
        return self.seconds / self.row.central if self.seconds and self.row.central else None

    @property
    def measured(self) -> Band | None:
        """From the fastest process to the slowest."""
        return Band(low=min(self.processes), high=max(self.processes)) if self.processes else None

    @property
    def place(self) -> str:
        """Where the processes lie: "in the band", "below it", "above it" or "partly in it"; "" where there are none."""
        span, seen = self.row.span, self.measured
        if span is None or seen is None:
            return ""
        if seen.high < span.low:
            return "below it"
        if seen.low > span.high:
            return "above it"
        return HIT if span.low <= seen.low and seen.high <= span.high else PARTLY

    @property
    def speed_up_fits(self) -> bool | None:
        """Does it lie in the predicted band? None where there are not both."""
        band, seen = self.row.ratio, self.speed_up
        return None if band is None or seen is None else band.low <= seen <= band.high

    @property
    def speed_up(self) -> float | None:
        """As measured, over the row that the predicted one is to."""
        seen = self.seen
        same = seen and seen.estimate and seen.row.reference == self.row.against
        return 1 / seen.estimate.ratio if same and seen and seen.estimate else None


def prediction_sheet(found: Prediction | CheckedPrediction, limit: int = 0) -> Sheet:
    """A prediction; where it was held against a GPU, with that."""
    if isinstance(found, Prediction):
        return predicted_sheet(found, limit)
    whole = {"more": held_parts(found), "also": judged_rows(found)}
    return predicted_sheet(found.prediction, limit, **whole, json=lambda: found.model_dump_json(indent=1))  # type: ignore[arg-type]


def held_rows(held: CheckedPrediction) -> list[HeldRow]:
    """Every predicted row, with what was measured of it."""
    groups = held.measured.groups if held.measured else ()
    seen = {(*group.key[:2], each.row.name): (each, group) for group in groups for each in summaries(group, Floors())}
    found = []
    for group in held.prediction.groups:
        for row in group.rows:
            summary, measured = seen.get((group.scenario, group.point, row.row), (None, None))
            processes = seconds_by_trial(measured, row.row) if measured else ()
            found.append(HeldRow(group.scenario, group.point, row, summary, processes))
    return found


def in_one_line(rows: Sequence[HeldRow]) -> str:
    """How many bands held, and how far their middles were off."""
    told = [each for each in rows if each.place]
    if not told:
        return "No row has both a predicted and a measured time."
    inside = sum(each.place == HIT for each in told)
    off = [abs(each.over_middle - 1) for each in told if each.over_middle]
    middle = f"; the middle of a band is off by {100 * median(off):.0f} % in the median" if off else ""
    ratios = [each.speed_up_fits for each in rows if each.speed_up_fits is not None]
    faster = f" Of {len(ratios)} speed-ups {sum(ratios)} lie in theirs." if ratios else ""
    return f"Of {len(told)} rows, all times of {inside} lie in the band that was predicted{middle}.{faster}"


def measured_cell(each: HeldRow) -> Cell:
    """Its time, as the range over the processes where there are several."""
    band = each.measured
    several = band is not None and milliseconds(band.low) != milliseconds(band.high)
    shown = band_cell("", band, 1e3).shown if several else milliseconds(each.seconds)
    return Cell(shown, {"seconds": each.seconds})


def held_parts(held: CheckedPrediction) -> Iterator[Part]:
    """The table and what it comes to."""
    rows, gpu = held_rows(held), held.fingerprint.gpu
    columns: Columns[HeldRow] = {Column("variant", most=18): lambda each: Cell(broken(each.row.row), each.row.row)}
    if any(each.point for each in rows):
        columns["point"] = lambda each: each.point
    columns |= {
        Column("predicted\nms", "span"): lambda each: band_cell("span", each.row.span, 1e3),
        Column("measured\nms", "seconds"): measured_cell,
        Column("lies", "place", left=True): lambda each: each.place or "-",
        Column("off its\nmiddle", "over_middle"): lambda each: figure(each.over_middle, change),
        Column("predicted\nspeed-up", "ratio"): lambda each: band_cell("ratio", each.row.ratio, 1, 2),
        Column("measured\nspeed-up", "speed_up"): lambda each: figure(each.speed_up, "{:.2f}"),
    }
    facts: Mapping[str, Value] = {"gpu": gpu}
    yield Words()
    if held.measured is None:
        yield Words(f"It was kept for {gpu} at {held.predicted:%Y-%m-%d %H:%M}; {NOT_MEASURED} yet.", "yellow")
        return
    yield table_of("checked", rows, columns, facts=facts, title=f"then measured on {gpu}", gap=1)
    yield from (Words(each.reason, "yellow") for each in judged_rows(held) if each.verdict is not Verdict.SAME)
    yield Words(in_one_line(rows))


def judged_rows(held: CheckedPrediction) -> list[JudgedRow]:
    """What was not timed, or is wrong; that a time lies outside of its band is a result like any other."""
    made = []
    for each in held_rows(held):
        cell, verdict, reason = f"{each.row.row} {each.scenario} {each.point}".strip(), Verdict.SAME, "it was timed"
        if each.seconds is None:
            found = each.seen.judgement if each.seen else None
            wrong = found is not None and found.verdict is Verdict.INACCURATE
            verdict = Verdict.INACCURATE if wrong else Verdict.MISSING
            reason = f"{each.row.row}: {(found and found.reason) or NOT_MEASURED}"
        made.append(JudgedRow(cell=cell, measure="time", verdict=verdict, reason=reason))
    return made
