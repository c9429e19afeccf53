"""What was not measured, counted or predicted, and why; and the machine that the rest is from."""

from collections.abc import Iterator
from typing import Any

from vlbench.comparing.history import History
from vlbench.export.results import card_lines, title
from vlbench.export.sheet import Cell, Column, Columns, Row, Table, Value, Words, table_of
from vlbench.judging.instances import told_of
from vlbench.judging.summary import summaries, why_incomplete
from vlbench.judging.verdict import Floors
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.record.counted import CountReport
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.grouping import gathered
from vlbench.record.schema import CellGroup, Results, Trial
from vlbench.reporting.page import Chapter, Section
from vlbench.reporting.timed import steps_of

Lack = tuple[str, str, str]
"""The file, what is not there, and why."""


def lacks_of(record: Any, source: str) -> Iterator[tuple[str, str]]:
    """What a file does not hold, and why."""
    match record:
        case Results():
            yield from _of_results(record)
        case CountReport():
            for group in record.groups:
                for tower in group.towers:
                    whole = [each.counts.why_not_whole for each in (tower.cold, tower.warm) if each]
                    for why in filter(None, dict.fromkeys([tower.failed or "", *whole])):
                        yield f"counts of {tower.name}", why
            yield "times", "counted without a GPU: nothing was timed"
        case Prediction():
            yield from _of_prediction(record)
        case CheckedPrediction():
            yield from _of_prediction(record.prediction)
        case History():
            yield from (("a figure over versions", note) for note in record.notes)
        case HeldCapture() if record.why_no_gpu:
            yield "predicted times of its kernels", record.why_no_gpu


def lacking_table(found: list[Lack]) -> Table:
    """A row for each."""
    columns = [Column("file", left=True), Column("what", left=True), Column("why", left=True)]
    return Table("not_measured", columns, found)


def _of_results(results: Results) -> Iterator[tuple[str, str]]:
    if why := why_incomplete(results):
        yield "the rest of the run", why
    for group in results.groups:
        where = title(group)
        untimed = [each for each in summaries(group, Floors()) if each.seconds is None]
        for why, names in gathered((each.judgement.reason, each.row.name) for each in untimed).items():
            yield f"times of {', '.join(names)}: {where}", why
        left_out = {flag: why for row in group.rows for flag, why in row.left_out.items()}
        for why, names in gathered((why, flag) for flag, why in left_out.items()).items():
            yield f"{', '.join(names)}: {where}", why
        for lost in group.lost:
            yield f"a trial: {where}", lost
    groups = results.groups
    if not any(map(steps_of, groups)):
        yield "the ladder", "no rows that add one flag after the other; `vlbench run --ablate cumulative` has them"
    if not any(group.at_scale for group in groups):
        yield (
            "counters of a GPU, and predictions",
            "not asked for; `vlbench run --counts` has them beside times of a CPU",
        )
    elif failed := {
        each.failed: each.name for group in groups if group.at_scale for each in group.at_scale.rows if each.failed
    }:
        yield from ((f"counts of {name} at full size", why or "") for why, name in failed.items())
    if len({(group.scenario, group.point) for group in groups}) < 2:
        yield "cost by count and size of pictures", "one point was measured; a scenario that sweeps has several"
    if not any(trial.variants and trial.variants[0].stages for group in groups for trial in group.trials):
        yield "stages", "no extra rounds were made for them"
    if results.machine is None:
        yield "the machine's own rates", "the card was not asked for (--no-card)"


def _of_prediction(found: Prediction) -> Iterator[tuple[str, str]]:
    for group in found.groups:
        for row in group.rows:
            if row.failed:
                yield f"{row.row} on {row.gpu}", row.failed
            if row.not_predicted:
                share = f"{row.not_predicted_share:.2%} of the bytes"
                yield (
                    f"{len(row.not_predicted)} operations of {row.row} on {row.gpu}, {share}",
                    "; ".join(row.not_predicted),
                )


def environment_chapter(results: Results, source: str) -> Chapter:
    """The machine, its own rates, and how busy it was in each trial."""
    sections = [Section("Machine and software", [fingerprint_table(results.fingerprint)])]
    if results.machine:
        sections.append(
            Section("What this machine does in what time", [Words("\n".join(card_lines(results.machine)), "card")])
        )
    rows = [(group, trial) for group in results.groups for trial in group.trials]
    if rows:
        told = {mark: None for group in results.groups for mark in told_of(group)}
        sections.append(Section("How busy it was", [*map(Words, told), load_table(rows)]))
    about = [f"`{results.command}`, {results.created:%Y-%m-%d %H:%M} UTC"]
    return Chapter(f"Environment: {results.fingerprint.gpu or results.fingerprint.cpu}", source, sections, about)


def fingerprint_table(found: Fingerprint) -> Table:
    """A row per field that is known; what is not, in one."""
    told = found.model_dump()
    known = {name.replace("_", " "): _value(value) for name, value in told.items() if value not in (None, {})}
    unknown = ", ".join(name.replace("_", " ") for name, value in told.items() if value is None)
    rows: list[Row] = [*known.items(), *([("not known, or not there", unknown)] if unknown else [])]
    return Table("environment", [Column("what", left=True), Column("is", "value", left=True)], rows)


def _value(value: Any) -> Cell:
    if isinstance(value, dict):
        value = ", ".join(f"{name} {each}" for name, each in value.items())
    elif isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return Cell(shown, value)


def load_table(rows: list[tuple[CellGroup, Trial]]) -> Table:
    """A row for each trial."""

    def of(field: str, each: tuple[CellGroup, Trial]) -> Value:
        return getattr(each[1].load, field, None)

    columns: Columns[tuple[CellGroup, Trial]] = {
        Column("fed in", "point"): lambda each: each[0].point or each[0].scenario,
        Column("trial"): lambda each: each[1].number,
        Column("load"): lambda each: of("load", each),
        Column("stolen"): lambda each: of("stolen", each),
        Column("taken off its core, per s", "switches"): lambda each: of("switches", each),
        Column("rounds with the clock held back", "throttled"): lambda each: len(each[1].throttled_rounds),
    }
    return table_of("load", rows, columns)
