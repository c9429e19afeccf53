"""The chapter of a cell group: ladder, every row with its interval, stages, all calls, counters, accuracy."""

from collections.abc import Iterator, Sequence
from statistics import median, quantiles

from vlbench.export import result_tables as tables
from vlbench.export.at_scale import at_scale_parts
from vlbench.export.plan_tables import plan_tables
from vlbench.export.results import group_notes, is_in_steps, is_voted, title, verified_sheet
from vlbench.export.sheet import Cell, Column, Columns, Row, Table, Words, figure, table_of
from vlbench.judging.summary import Summary, ranked, summaries
from vlbench.judging.verdict import Floors
from vlbench.judging.words import milliseconds, number_of, percent, speedup_with_interval
from vlbench.record.schema import NO_FLAGS, CellGroup, State
from vlbench.reporting import drawing
from vlbench.reporting.chosen import Sweep, chosen, held_against
from vlbench.reporting.drawing import Axis
from vlbench.reporting.page import Chapter, Drawn, Picture, Section, only
from vlbench.stats.paired import Estimate, median_interval

TONES = {"faster": "good", "slower": "bad", "unclear": "open"}
SAID = {"faster": "faster, confirmed", "slower": "slower, confirmed", "unclear": "not distinguishable"}


FIRST = ("variant", "drawn", "speed-up", "level", "reference", "verdict", "visible", "seconds")
"""The columns by which a row is chosen, before all others."""


def group_chapter(group: CellGroup, source: str) -> Chapter:
    """All that a file says of one group."""
    found = summaries(group, Floors())
    shown = found if is_in_steps(group) else ranked(found)
    rows = rows_table(group, shown)
    sections = [Section("Every row", [rows, *group_notes(group, shown)])]
    brief = []
    if steps := steps_of(group):
        ladder = ladder_table(group, steps)
        sections.insert(0, Section("Ladder: one flag after the other", [ladder]))
        brief.append(only(ladder, "rung", "so_far", "step"))
    parts: dict[str, list[Words | Table]] = {
        "Stages, before and after": stage_parts(group, found),
        "Every call": list(calls_tables(group, shown)),
        "Counters, and what is paid once": [tables.cost_table(group, shown), *plan_tables(group, shown)],
        "On the GPU": [*tables.gpu_table(group, shown), *tables.behind_table(group)],
        "By state of the caches": list(tables.state_table(group)),
        "At the size of a released model: counted and predicted, never measured": [
            each for each in at_scale_parts(group, shown) if isinstance(each, Words | Table)
        ],
        "Accuracy": accuracy_parts(group),
    }
    sections += [Section(name, blocks) for name, blocks in parts.items() if blocks]
    about = [f"fed in: {group.trials[0].batch}"] if group.trials else []
    about += [group.why_scaled] if group.why_scaled else []
    speed_up = next(column.key for column in rows.heads if column.key.startswith("speed-up"))
    brief.append(only(rows, "variant", "seconds", speed_up, "reference", "verdict"))
    return Chapter(title(group), source, sections, about, brief)


def rows_table(group: CellGroup, shown: Sequence[Summary]) -> Table:
    """The table of the terminal with each interval drawn, and the reason of each verdict."""
    voted = is_voted(group)
    table = tables.verdict_table(group, shown) if voted else tables.times_table(group, shown)
    axis = Axis.over([1.0, *_ends(each.estimate for each in shown)])
    added: Columns[Summary] = {
        Drawn("speed-up, drawn", "drawn", left=True, svg=drawing.scale(axis, "x")): lambda each: _interval(axis, each)
    }
    if any(_why(each, voted) for each in shown):
        added[Column("why", left=True)] = lambda each: _why(each, voted)
    if not voted:
        added[Column("verdict", left=True)] = _said
        added[Column("detectable", "visible")] = lambda each: figure(each.judgement.visible, percent)
    more = table_of("", shown, added)
    heads = [*table.heads, *more.heads]
    order = sorted(range(len(heads)), key=lambda at: _place(heads[at].key))
    rows = [[(*row, *other)[at] for at in order] for row, other in zip(table.rows, more.rows, strict=True)]
    told = "Speed-up to the row that stands under 'than', else to the first"
    return Table(table.name, [heads[at] for at in order], rows, told, table.facts)


def _place(key: str) -> int:
    """Of a column: those in `FIRST`, then the others, then the reason."""
    name = key.partition(" ")[0].strip(",")  # the level of the intervals follows the name of theirs
    return FIRST.index(name) if name in FIRST else len(FIRST) + (name == "why")


def steps_of(group: CellGroup) -> list[str]:
    """The rows of a ladder in which each step is taken to the one before; none where the rows are no ladder."""
    names, before = [row.name for row in group.rows], NO_FLAGS
    found = []
    for row in group.rows:
        if row.name.startswith("+") and row.reference == before:
            found.append(row.name)
            before = row.name
    return [*([NO_FLAGS] if NO_FLAGS in names else []), *found] if found else []


def ladder_table(group: CellGroup, steps: Sequence[str]) -> Table:
    """What each step is worth beside the one before, and all steps together beside the reference tower."""
    own = {each.row.name: each for each in summaries(group, Floors())}
    whole = {each.row.name: each for each in held_against(group, group.rows[0].name)}
    rows: list[Row] = []
    axis = Axis.over([1.0, *_ends(whole[name].estimate for name in steps)])
    for name in steps:
        step, far = own[name], whole[name]
        rows.append(
            [
                name,
                _interval(axis, far),
                _gain(far.estimate, "so_far"),
                Cell("-") if name == NO_FLAGS else _gain(step.estimate, "step"),
                Cell("" if name == NO_FLAGS else str(step.judgement.verdict)),
                figure(far.seconds, milliseconds),
            ]
        )
    columns: list[Column | str] = [
        Column("step", "rung"),
        Drawn("speed-up, drawn", "drawn", left=True, svg=drawing.scale(axis, "x")),
        Column("so far", "so_far"),
        Column("this step", "step"),
        Column("verdict on the step", "verdict", left=True),
        Column("ms", "seconds"),
    ]
    told = f"So far: all steps together, to {group.rows[0].name}. This step: to the step before"
    return Table("ladder", columns, rows, told, tables.facts(group))


def stage_parts(group: CellGroup, found: Sequence[Summary]) -> list[Words | Table]:
    """The stages of the reference tower and of the set that the run speaks for; then the shares of every row."""
    picked = chosen(Sweep([group], [held_against(group, group.rows[0].name)]))
    after = [each for each in found if picked and each.row.name == picked[0].row.name and each.stages]
    compared = [stages_table(group, found[0], after[0])] if found[0].stages and after else []
    return [*compared, *tables.stage_table(group, found)]


def stages_table(group: CellGroup, before: Summary, after: Summary) -> Table:
    """A row for each stage, the longest first."""
    names = dict.fromkeys(stage for each in (before, after) for one in each.stages for stage in one)
    times = sorted(((name, _stage(before, name), _stage(after, name)) for name in names), key=lambda each: -each[1])
    most = max(max(pair) for _, *pair in times)
    columns: Columns[tuple[str, float, float]] = {
        "stage": lambda each: Cell("outside of stages" if each[0] == tables.REST else each[0], each[0]),
        Drawn("above before, below after", "drawn", left=True): lambda each: Picture(
            "", svg=drawing.bars(each[1], each[2], most, f"{each[0]}: {_ms(each[1])} before, {_ms(each[2])} after")
        ),
        Column(f"{before.row.name} ms", "before_seconds"): lambda each: figure(each[1], milliseconds),
        Column(f"{after.row.name} ms", "after_seconds"): lambda each: figure(each[2], milliseconds),
        Column("saved ms", "saved_seconds"): lambda each: figure(
            each[1] - each[2], lambda saved: f"{saved * 1e3:+.2f}"
        ),
    }
    told = "Self time: the median share of extra rounds in which somebody listens, of the median time of a call"
    return table_of("stages", times, columns, title=told, facts=tables.facts(group) | {"variant": after.row.name})


def calls_tables(group: CellGroup, shown: Sequence[Summary]) -> Iterator[Table]:
    """Every timed call of every row, one state of the caches after the other."""
    for state in group.states:
        calls = {each.row.name: calls_of(group, each.row.name, state) for each in shown}
        calls = {name: seconds for name, seconds in calls.items() if seconds}
        axis = Axis.over([each for seconds in calls.values() for each in seconds])
        rows: list[Row] = []
        for name, seconds in calls.items():
            middle = median(seconds)
            slow = quantiles(seconds, n=20)[-1] if len(seconds) >= 20 else None
            told = f"{name}: {number_of(len(seconds), 'call')}, median {milliseconds(middle)} ms"
            drawn = Picture("", svg=drawing.strip(axis, seconds, middle, told))
            times = [figure(each, milliseconds) for each in (min(seconds), middle, slow, max(seconds))]
            rows.append([name, drawn, len(seconds), *times])
        heads: list[Column | str] = [
            "variant",
            Drawn("every call, ms", "drawn", left=True, svg=drawing.scale(axis, factor=1e3)),
            "calls",
            Column("fastest ms", "fastest_seconds"),
            Column("median ms", "median_seconds"),
            Column("95 % ms", "slow_seconds"),
            Column("slowest ms", "slowest_seconds"),
        ]
        what = f"A dot is a call (of {group.rows[0].name} the median of its instances), the first above, in ms; {state}"
        facts = tables.facts(group) | {"state": state, "axis_low": axis.low, "axis_high": axis.high}
        yield Table("calls", heads, rows, what, facts)


def calls_of(group: CellGroup, name: str, state: State) -> list[float]:
    """The times of a row in every round of every trial, in their order."""
    found = [trial.find(name) for trial in group.trials]
    return [one for each in found if each and state in each.timings for one in each.timings[state].seconds]


def accuracy_parts(group: CellGroup) -> list[Words | Table]:
    """What `verify` says of the timed input."""
    if not group.trials:
        return []
    sheet = verified_sheet(group, [group.trials[0].batch], failures_only=False, json=str)
    return [part for part in sheet.parts[1:] if isinstance(part, Table | Words)]


def _ends(estimates: Iterator[Estimate | None]) -> list[float]:
    return [end for each in estimates if each for end in (1 / each.high, 1 / each.low)]


def _interval(axis: Axis, each: Summary) -> Picture:
    if each.estimate is None:
        return Picture("")
    ends = each.estimate.speedup, 1 / each.estimate.high, 1 / each.estimate.low
    told = f"{each.row.name}: {speedup_with_interval(each.estimate)}"
    return Picture("", svg=drawing.interval(axis, *ends, TONES[each.effect], told))


def _gain(estimate: Estimate | None, name: str) -> Cell:
    values = estimate and {name: estimate.speedup, f"{name}_low": 1 / estimate.high, f"{name}_high": 1 / estimate.low}
    return figure(values, lambda _: speedup_with_interval(estimate) if estimate else "-")


def _said(each: Summary) -> Cell:
    """Of a quick look, which gives no verdict."""
    if each.row.is_reference:
        return Cell("reference", "reference", "dim")
    if each.estimate is None:
        return Cell(str(each.judgement.verdict), None, "bad")
    return Cell(SAID[each.effect], each.effect, tables.EFFECTS[each.effect])


def _why(each: Summary, voted: bool) -> str:
    """What the other columns do not say."""
    said = each.row.is_reference or (not voted and each.estimate and each.effect == "unclear" and not each.is_suspect)
    return "" if said else each.judgement.reason


def _ms(seconds: float) -> str:
    return f"{milliseconds(seconds)} ms"


def _stage(each: Summary, name: str) -> float:
    """Seconds of a stage in one call."""
    middle, *_ = median_interval([one.get(name, 0.0) for one in each.stages])
    return middle * (each.seconds or 0.0)
