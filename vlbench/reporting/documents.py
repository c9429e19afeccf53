"""Chapters of files that are no run: verdicts, counts, predictions, recommendations, baselines, atlases, self-tests."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from vlbench.comparing.history import History
from vlbench.export import wording
from vlbench.export.atlas import atlas_parts
from vlbench.export.baseline import baseline_sheet
from vlbench.export.checked_prediction import held_parts
from vlbench.export.comparison import judged_parts, last_line
from vlbench.export.counted import counted_sheet
from vlbench.export.held_capture import held_capture_parts
from vlbench.export.predicted import METHOD, predicted_sheet
from vlbench.export.recommended import recommended_parts
from vlbench.export.self_test import rule_table, sentences, tally_table
from vlbench.export.sheet import Cell, Column, Columns, Part, Table, Value, Words, table_of
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.record.atlas import Atlas
from vlbench.record.baseline import Baseline
from vlbench.record.counted import CountReport
from vlbench.record.recommendation import Recommendation
from vlbench.record.schema import Results
from vlbench.record.site import Site
from vlbench.reporting.costs import predicted_section
from vlbench.reporting.page import Chapter, Section, only
from vlbench.reporting.past import past_chapter
from vlbench.selftest.other_rules import scores
from vlbench.selftest.verdicts import report

TONES = {"improved": "green", "fewer": "green", "same": "", "accepted": "yellow", "inconclusive": "yellow"}


def chapter_of(record: Any, source: str) -> Chapter:
    """The chapter of a record that is not of a run."""
    made: dict[type, Callable[[Any, str], Chapter]] = {
        Judged: judged_chapter,
        CountReport: counted_chapter,
        Prediction: predicted_chapter,
        CheckedPrediction: checked_chapter,
        HeldCapture: held_capture_chapter,
        Recommendation: recommended_chapter,
        Baseline: baseline_chapter,
        Atlas: atlas_chapter,
        History: lambda record, _: past_chapter(record),
    }
    return made[type(record)](record, source)


def judged_chapter(judged: Judged, source: str) -> Chapter:
    """A gate, an `ab`, a `diff` or another comparison: its verdicts, then what moved and at which lines."""
    rows = wording.ordered(judged)
    columns: Columns[JudgedRow] = {
        Column("verdict", left=True): lambda row: Cell(str(row.verdict), row.verdict, TONES.get(row.verdict, "red")),
        Column("cell", left=True): lambda row: row.cell,
        Column("measure", left=True): lambda row: row.measure,
        Column("before"): lambda row: _pair(row, 0),
        Column("after"): lambda row: _pair(row, 1),
        Column("change %", "ratio"): lambda row: Cell(
            wording.change_with_interval(row) or "-", {"ratio": row.ratio, "low": row.low, "high": row.high}
        ),
        Column("detectable", "visible"): lambda row: Cell(wording.detectable(row) or "-", row.visible),
        Column("why", "reason", left=True): lambda row: row.reason + ("" if row.gates else " (has no say)"),
    }
    verdicts = table_of("verdicts", rows, columns)
    asides = [wording.unenforced(judged), wording.chance(judged), *wording.asides(judged)]
    asides += [f"What to do: {judged.remedy}"] if judged.remedy and judged.finding else []
    sections = [Section("Verdicts", [last_line(judged), verdicts, *(Words(each) for each in asides if each)])]
    if any(row.moves for row in rows):
        sections.append(Section("What moved, and at which lines", [moves_table(rows)]))
    title = f"vlbench {judged.command}: {judged.before} against {judged.after}"
    return Chapter(title, source, sections, (), [only(verdicts, "verdict", "cell", "measure", "ratio")])


def moves_table(rows: list[JudgedRow]) -> Table:
    """Every counter, stage, line and operation that moved."""
    moved = [(row.cell, move) for row in rows for move in row.moves]
    columns: Columns[tuple[str, Move]] = {
        Column("cell", left=True): lambda each: each[0],
        Column("kind", left=True): lambda each: each[1].kind,
        Column("what", "name", left=True): lambda each: wording.move_name(each[1]),
        Column("before"): lambda each: Cell(
            wording.pair(each[1].before, each[1].after, each[1].unit)[0], each[1].before
        ),
        Column("after"): lambda each: Cell(wording.pair(each[1].before, each[1].after, each[1].unit)[1], each[1].after),
        Column("where", left=True): lambda each: wording.place(each[1]) or each[1].stage or "-",
        Column("what removes it", "advice", left=True): lambda each: each[1].advice or "-",
    }
    return table_of("moves", moved, columns)


def counted_chapter(found: CountReport, source: str) -> Chapter:
    """The second forward of each tower, the first, and the lines that wait or copy."""
    sections = []
    for cold, name in ((False, "The second forward"), (True, "The first forward")):
        parts = counted_sheet(found, cold, ()).parts
        sections.append(Section(name, _worded(parts)))
    lines = [
        (tower.name, " ".join(filter(None, (group.scenario, group.point))), site)
        for group in found.groups
        for tower in group.towers
        if tower.warm
        for site in tower.warm.sites
    ]
    columns: Columns[tuple[str, str, Site]] = {
        Column("tower"): lambda each: each[0],
        Column("fed in", "point", left=True): lambda each: each[1],
        Column("event", left=True): lambda each: each[2].kind,
        Column("times"): lambda each: each[2].times,
        Column("bytes"): lambda each: each[2].bytes,
        Column("line", left=True): lambda each: each[2].where.place or "-",
        Column("source", left=True): lambda each: each[2].where.source,
        Column("what removes it", "advice", left=True): lambda each: each[2].advice or "-",
    }
    if lines:
        sections.insert(1, Section("Lines that wait or copy", [table_of("lines", lines, columns)]))
    title = f"Counted, not timed: {', '.join(found.names)}, as {found.profile}, {found.dtype}"
    counts = [part for part in sections[0].blocks if isinstance(part, Table)]
    return Chapter(
        title, source, sections, (), [only(each, "variant", "host_syncs", "device_operations") for each in counts]
    )


def predicted_chapter(found: Prediction, source: str) -> Chapter:
    """Bands, what would pay, and stages; never in a table with what was measured."""
    parts = predicted_sheet(found).parts
    blocks = [part for part in _worded(parts) if not isinstance(part, Words) or part.text != METHOD]
    sections = [*predicted_section(found), Section("Every row, predicted", blocks)]
    brief = [
        only(part, "variant", "span", "ratio") for part in parts if isinstance(part, Table) and part.name == "predicted"
    ]
    return Chapter(
        f"Predicted, not measured: {', '.join(found.boards)}, {found.dtype}", source, sections, [METHOD], brief
    )


def checked_chapter(found: CheckedPrediction, source: str) -> Chapter:
    """A prediction, and how it held on the GPU that it was for."""
    told, gpu = predicted_chapter(found.prediction, source), found.fingerprint.gpu
    section = Section(f"Prediction beside measurement on {gpu}", _worded(held_parts(found)))
    tables = [part for part in section.blocks if isinstance(part, Table)]
    short = {"over_middle": "error"}
    tables = [
        replace(each, columns=[replace(head, heading=short.get(head.key, head.heading)) for head in each.heads])
        for each in tables
    ]
    brief = [
        only(each, "variant", "point", *keys)
        for each in tables
        for keys in (("span", "seconds", "place", "over_middle"), ("ratio", "speed_up"))
    ]
    title = f"{told.title}; then measured on {gpu}" if tables else told.title
    return replace(told, title=title, sections=[section, *told.sections], brief=brief or told.brief)


def held_capture_chapter(found: HeldCapture, source: str) -> Chapter:
    """A capture, beside what is predicted of it."""
    section = Section("Captured, beside predictions", _worded(held_capture_parts(found)))
    return Chapter(f"{found.capture}, held against predictions", source, [section], (), _brief(section))


def recommended_chapter(found: Recommendation, source: str) -> Chapter:
    """What `recommend` found."""
    parts = list(recommended_parts(found))
    flags = [part for part in parts if isinstance(part, Table) and part.name == "flags"]
    brief = [only(table, "flag", "effect", "by", "ratio") for table in flags[:1]]
    section = Section("Flags, and the set", _worded(parts))
    return Chapter(f"Recommended: {found.preset.made_for()}", source, [section], (), brief)


def baseline_chapter(found: Baseline, source: str) -> Chapter:
    """A stored baseline."""
    parts = baseline_sheet(found, None, str).parts
    section = Section("Stored figures", _worded(parts[1:]))
    return Chapter(f"Baseline {found.name}", source, [section], (), _brief(section))


def atlas_chapter(found: Atlas, source: str) -> Chapter:
    """An atlas of a package's towers."""
    section = Section("Towers", _worded(atlas_parts(found)))
    return Chapter(f"Atlas of {found.title}", source, [section], (), _brief(section)[:1])


def self_test_chapter(results: Results, source: str) -> Chapter:
    """The samples of a self-test, judged again."""
    found, scored = report(results.groups), scores(results.groups)
    blocks: list[Words | Table] = [tally_table(found), *map(Words, sentences(found))]
    sections = [Section("What was injected, and what was called", blocks)]
    if scored:
        sections.append(Section("The same samples under other rules", [rule_table(scored)]))
    return Chapter("Self-test: is the harness honest on this machine?", source, sections, (), [tally_table(found)])


def _brief(section: Section) -> list[Table]:
    """Its tables for Markdown, without what is wide or second to the rest."""
    tables = [each for each in section.blocks if isinstance(each, Table)]
    left_out = {"prepared", "attention_calls", "attention_plans", "plans", "implicit_uploads", "allocations"}
    return [only(each, *({head.key for head in each.heads} - left_out)) for each in tables]


def _worded(parts: Iterable[Part]) -> list[Words | Table]:
    """Without empty lines, which only a terminal wants, and with verdicts in words."""
    plain = (each for part in parts for each in (judged_parts(part) if isinstance(part, Judged) else [part]))
    return [
        replace(each, title=each.title or f"{each.facts['variant']}: {each.name}")
        if isinstance(each, Table) and "variant" in each.facts
        else each
        for each in plain
        if isinstance(each, Table) or (isinstance(each, Words) and each.text.strip())
    ]


def _pair(row: JudgedRow, place: int) -> Cell:
    value: Value = (row.before, row.after)[place]
    if row.before is None or row.after is None:
        return Cell("-", value)
    return Cell(wording.pair(row.before, row.after, row.unit)[place], value)
