"""What `vlbench count --capture` says: which forwards can be CUDA graphs, the lines in their way, and of keys."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter

from vlbench.export.counted import line_words, name_told
from vlbench.export.fed import title
from vlbench.export.lines_found import lines_found
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Value, Words, checked, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of, readable_bytes
from vlbench.record.capturable import Blocker, BlockerKind, CapturableGroup, CapturableReport, CapturableRow
from vlbench.record.grouping import gathered
from vlbench.record.site import Where, outside_of_helpers

COLUMNS: dict[str, tuple[BlockerKind, ...]] = {
    "data\nshapes": ("data-dependent shape",),
    "host\nbranches": ("host branch",),
    "read-\nbacks": ("read-back",),
    "waits": ("wait",),
    "uploads": ("pageable upload", "waiting upload"),
    "pinned\nallocs": ("pinned allocation",),
}
"""Blockers in a column."""
HAND_IN = "plans inside its forward: hand the plan in"


def capture_sheet(report: CapturableReport) -> Sheet:
    """Every group's table, what is to be known of each tower, and its lines."""
    parts: list[Part] = []
    for group in report.groups:
        parts += [Words(title(report, group), "bold"), Words(), capture_table(report, group), Words()]
        for rows in _towers(group):
            parts += _told(report, rows)
    asked = f"from {report.region[0]} to {report.region[1]}" if report.region else "all of it"
    parts.append(Words(f"Looked at: the second forward, {asked}. No GPU was used: {report.seconds:.1f} s.", "dim"))
    for group in report.groups:
        for rows in _towers(group):
            parts += _lines(report, group, rows)
    json = report.model_dump_json
    sheet = checked("vlbench count --capture", parts, captured_whole(report), json=lambda: json(indent=1))
    found = ((f"{row.name} {title(report, group)}", row.blockers) for group in report.groups for row in group.rows)
    return replace(sheet, lines=lines_found(found))


def captured_whole(report: CapturableReport) -> Judged:
    """Can each tower be a graph in one of its forms, under its key? A tower of which that is not known is missing."""
    rows = (_judged(report, group, rows) for group in report.groups for rows in _towers(group))
    return Judged(command="count --capture", before="a CUDA graph", after="the forward", rows=tuple(rows))


def _judged(report: CapturableReport, group: CapturableGroup, rows: Sequence[CapturableRow]) -> JudgedRow:
    forms = [row for row in rows if row.capturable]
    sound = [row for row in forms if row.key is None or row.key.verdict == "not refuted"]
    unknown = [row for row in rows if row.capturable is None or (row.key and row.key.verdict == "not checked")]
    if sound:
        verdict, reason = Verdict.SAME, f"{sound[0].name} can be a graph"
    elif unknown:
        first = unknown[-1]
        verdict, reason = Verdict.MISSING, f"{first.name}: {first.failed or (first.key.reason if first.key else '')}"
    elif forms and (key := forms[-1].key):
        verdict, reason = Verdict.REGRESSED, f"{forms[-1].name}: {key.verdict}: {key.reason}"
    else:
        verdict, reason = Verdict.REGRESSED, f"a capture ends on {number_of(rows[-1].lines, 'line')} of {rows[-1].name}"
    return JudgedRow(cell=f"{rows[0].name} {title(report, group)}", measure="counters", verdict=verdict, reason=reason)


def capture_table(report: CapturableReport, group: CapturableGroup) -> Table:
    """A row per tower, and below it those with its plan handed in: lines, and how often each kind ends a capture."""
    columns: Columns[CapturableRow] = {
        Column("variant", most=20): lambda row: Cell(
            name_told(row.name, row.plan), {"variant": row.name, "plan": row.plan}
        ),
        Column("can be\na graph", "capturable"): _answer,
        Column("lines"): lambda row: row.lines,
    }
    for heading, kinds in COLUMNS.items():
        columns[Column(heading)] = partial(_times, kinds)
    return table_of("capture", group.rows, columns, facts=_facts(report, group), gap=1)


def _times(kinds: tuple[BlockerKind, ...], row: CapturableRow) -> int:
    return row.times(*kinds)


def _answer(row: CapturableRow) -> Cell:
    told = {True: "yes", False: "no", None: "not known"}[row.capturable]
    return Cell(told, row.capturable, {True: "green", False: "red", None: "yellow"}[row.capturable])


def _towers(group: CapturableGroup) -> list[list[CapturableRow]]:
    """The rows of each tower: its forward, and that with the plan handed in."""
    return list(gathered((row.tower, row) for row in group.rows).values())


def _told(report: CapturableReport, rows: Sequence[CapturableRow]) -> Iterator[Words]:
    for row in rows:
        if row.failed:
            yield Words(f"{row.name}: {'not whole' if row.blockers else 'not known'}: {row.failed}", "red")
        if row.left_out and row.plan == "inside":
            yield Words(f"{row.name}: without {', '.join(row.left_out)}, which mean nothing here", "dim")
    inside, *handed = rows
    if inside.blockers and handed:
        gone = inside.lines - min(row.lines for row in handed)
        yield Words(f"{inside.name} {HAND_IN}, and {gone} of {number_of(inside.lines, 'line')} are gone.", "yellow")
    for row in rows:
        if row.key is not None:
            yield from _key(report, row)


def _key(report: CapturableReport, row: CapturableRow) -> Iterator[Words]:
    key = row.key
    assert key is not None
    style = {"not refuted": "green", "refuted": "red"}.get(key.verdict, "yellow")
    told = key.reason if key.verdict == "plans inside" else f"{key.verdict}: {key.reason}"
    yield Words(f"{row.name}, key {','.join(report.key)}: {told}", style)
    if key.difference:
        which = "a hint: their" if key.verdict == "not refuted" else "their"
        yield Words(f"{which} records part at {key.difference.where.place}", "dim", indent=8)
        yield Words(key.difference.mine, "dim", indent=10, cut=True)
        yield Words(key.difference.other, "dim", indent=10, cut=True)


def _lines(report: CapturableReport, group: CapturableGroup, rows: Sequence[CapturableRow]) -> Iterator[Part]:
    """The lines of a tower's forward, and those with its plan handed in that were not there before."""
    known: set[tuple[object, ...]] = set()
    for row in rows:
        new = [each for each in row.blockers if _place(each) not in known]
        known |= {_place(each) for each in new}
        if not new:
            continue
        columns: Columns[Blocker] = {
            "where": lambda each: str(each.where),
            "called_from": lambda each: " <- ".join(map(str, each.callers)),
            **{name: attrgetter(name) for name in ("kind", "times", "bytes", "operation", "advice")},
            "flags": lambda each: " ".join(each.flags),
        }
        chains = outside_of_helpers((each.where, *each.callers) for each in new)
        lines = [
            words for each in new for words in _blocker(each, chains[each.where, *each.callers], rows)
        ]  # fmt: skip
        yield from (Words(), Words(f"{row.name}: a capture ends on {number_of(row.lines, 'line')}", "bold"))
        yield table_of("blockers", new, columns, facts=_facts(report, group) | {"variant": row.name}, lines=lines)


def _blocker(each: Blocker, named: Where, rows: Sequence[CapturableRow]) -> Iterator[Words]:
    size = f", {readable_bytes(each.bytes)}" if each.bytes else ""
    yield from line_words(each, f"{each.kind}{size}: {each.expression or each.operation}", named)
    places = {row.plan: {_place(other) for other in row.blockers} for row in rows if row.plan != "inside"}
    gone = [plan for plan, found in places.items() if _place(each) not in found]
    if gone:
        where = "" if gone[0] == "device" else " with its lengths on the host"
        yield Words(f"-> gone where the plan is handed in{where}", "green", indent=8)
    elif each.advice:
        flags = f": {' or '.join(each.flags)}" if each.flags else ""
        yield Words(f"-> {each.advice}{flags}", "green", indent=8)


def _place(each: Blocker) -> tuple[object, ...]:
    return each.kind, each.where, each.expression, each.callers


def _facts(report: CapturableReport, group: CapturableGroup) -> dict[str, Value]:
    facts: dict[str, Value] = {"scenario": group.scenario, "point": group.point, "dtype": report.dtype}
    region = "..".join(report.region) if report.region else ""
    return facts | {"profile": report.profile, "region": region, "key": ",".join(report.key)}
