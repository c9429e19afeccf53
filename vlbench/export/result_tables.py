"""The tables of one cell group: times, verdicts, costs, and what extra rounds found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import get_args

from vlbench.export.sheet import Cell, Column, Row, Table, Value
from vlbench.export.words import broken, milliseconds, speedup_with_interval
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import percent
from vlbench.record.schema import CellGroup, Results, State

EFFECTS = {"faster": "green", "slower": "red", "unclear": "dim"}
MUCH_IDLE = 0.10
"""Above this share of idleness a span says more of the host than of the GPU."""
STAGES = {
    "plan": ("plan", "window_order", "rope", "restore_order"),
    "patches": ("patch_embed",),
    "attention": ("attention",),
    "mlp": ("mlp",),
    "merger": ("merger",),
    "rest": ("forward",),
}
"""Column -> the stages that it adds up. A stage in none of them is a column of its own."""

VARIANT = Column("variant", most=20)
CLASS = Column("class", left=True, most=20)
ERROR, MS = Column("error", "fp32_error"), Column("ms", "seconds")
SPEEDUP = Column("speed-up [95 %]")
COUNTS = (Column("aten\nops", "aten_operations"), Column("SDPA", "attention_calls"))


def facts(group: CellGroup) -> dict[str, Value]:
    """What holds of every row of a group."""
    return {
        "scenario": group.scenario,
        "point": group.point,
        "model": group.model,
        "dtype": group.dtype,
        "device": group.device,
        "threads": group.threads,
        "weights": group.weights,
    }


def times_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """A quick look: variant, exactness, error, median, speed-up with interval, counts."""
    columns = (VARIANT, CLASS, ERROR, MS, SPEEDUP, *COUNTS)
    rows = [(name(each), _class(each), _error(each), _ms(each), _speedup(each), *_counts(each)) for each in found]
    return Table("variants", columns, rows, facts=facts(group), gap=1)


def verdict_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """Several trials: the verdict, and the smallest change that would have been seen."""
    columns = (VARIANT, ERROR, MS, SPEEDUP, Column("verdict", left=True), Column("sees", "visible"))
    rows = [(name(each), _error(each), _ms(each), _speedup(each), _verdict(each), _sees(each)) for each in found]
    return Table("variants", columns, rows, facts=facts(group), gap=1)


def cost_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """What does not depend on luck: exactness and counts; and what is paid once."""
    columns = (
        VARIANT, CLASS, *COUNTS, Column("first call ms", "first_seconds"), Column("pays back after", "pays_back_after"),
    )  # fmt: skip
    rows = []
    for each in found:
        first = None if each.first_seconds is None else Cell(f"{each.first_seconds * 1e3:.1f}", each.first_seconds)
        calls = None if each.pays_back_after is None else Cell(f"{each.pays_back_after} calls", each.pays_back_after)
        rows.append((name(each), _class(each), *_counts(each), first, calls))
    return Table("variants", columns, rows, facts=facts(group), gap=1)


def gpu_table(group: CellGroup, found: Sequence[Summary]) -> Iterator[Table]:
    """A call's span on a GPU, its busy part, the host's time to issue it, and the share of idleness, where measured."""
    rows: list[Row] = []
    for each in found:
        idle = each.idle_share
        note = "" if idle is None else "host-bound" if idle > MUCH_IDLE else "device-bound"
        share = Cell("not measured" if idle is None else f"{idle:.0%}", idle)
        times = [Cell(milliseconds(of), of) for of in (each.seconds, each.busy_seconds, each.host_seconds)]
        rows.append((name(each), *times, share, note))
    if any(each.host_seconds for each in found):
        names = {"span": "span_seconds", "busy": "busy_seconds", "host": "host_seconds", "idle": "idle_share"}
        columns = [VARIANT, *(Column(heading, key) for heading, key in names.items()), Column("", "bound", left=True)]
        yield Table("variants", columns, rows, "GPU: milliseconds of one call", facts(group))


def state_table(group: CellGroup) -> Iterator[Table]:
    """Milliseconds, speed-up and hit rate in each state of the caches; none where only one was measured."""
    measured = {state for trial in group.trials for variant in trial.variants for state in variant.timings}
    states: list[State] = [state for state in get_args(State) if state in measured]
    if len(states) > 1:
        found = {state: summaries(group, Floors(), state) for state in states}
        rows = [
            (name(found[states[0]][number]), *(_in_state(state, found[state][number]) for state in states))
            for number in range(len(group.rows))
        ]
        yield Table("variants", [VARIANT, *states], rows, "ms, speed-up and cache hits by state", facts(group))


def stage_table(group: CellGroup, found: Sequence[Summary]) -> Iterator[Table]:
    """Share of each stage, self time, from extra rounds; none where none were run."""
    timed = [(each, total) for each in found if (total := sum(each.stages.values()))]
    if timed:
        known = {stage for names in STAGES.values() for stage in names}
        strangers = dict.fromkeys(stage for each, _ in timed for stage in each.stages if stage not in known)
        stages = STAGES | {stage: (stage,) for stage in strangers}
        rows = [(name(each), *(_share(each, names, total) for names in stages.values())) for each, total in timed]
        columns = [VARIANT, *(Column(stage, f"share_{stage}") for stage in stages)]
        yield Table("variants", columns, rows, "share of the forward, self time, %", facts(group))


def ladder_tables(results: Results) -> Iterator[Table]:
    """A sweep at a glance: one table per scenario, model, dtype and device that was measured at two points or more."""
    for _, sweep in groupby(results.groups, key=_all_but_the_point):
        groups = list(sweep)
        if len(groups) > 1:
            first = groups[0]
            what = f"ms of {first.rows[0].name}, speed-ups (in brackets: not told apart)"
            found = [summaries(group, Floors()) for group in groups]
            rows = [
                (broken(row.name), *(_rung(each[number]) for each in found)) for number, row in enumerate(first.rows)
            ]
            columns = [VARIANT, *(Column(group.point) for group in groups)]
            yield Table("", columns, rows, f"{first.scenario}, {first.dtype}: {what}")


def name(each: Summary) -> Cell:
    """The variant, over as many lines as its column wants."""
    return Cell(broken(each.row.name), each.row.name)


def class_of(each: Summary) -> str:
    """How exact a variant claims to be."""
    return "yardstick" if each.row.is_yardstick else each.row.exactness


def _class(each: Summary) -> Cell:
    found = class_of(each)
    return Cell("reassoc." if found == "reassociated" else found, found)


def _all_but_the_point(group: CellGroup) -> tuple[str, ...]:
    return (group.scenario, group.model, group.dtype, group.device, *(row.name for row in group.rows))


def _ms(each: Summary) -> Cell:
    return Cell(milliseconds(each.seconds), each.seconds)


def _counts(each: Summary) -> tuple[Cell, Cell]:
    operations = each.counts.aten_operations if each.counts else None
    calls = each.counts.attention_calls if each.counts else None
    return Cell("-" if operations is None else str(operations), operations), Cell(
        "-" if calls is None else str(calls), calls
    )


def _speedup(each: Summary) -> Cell:
    found = each.estimate
    figures: Mapping[str, Value] = {
        "speed_up": found.speedup if found else None,
        "speed_up_low": 1 / found.high if found else None,
        "speed_up_high": 1 / found.low if found else None,
    }
    if each.judgement.verdict is Verdict.INACCURATE:
        return Cell("FAIL", figures, "bold red")
    if found is None:
        return Cell("1" if each.row.is_yardstick and each.seconds else "not measured", figures, "dim")
    return Cell(speedup_with_interval(found), figures, EFFECTS[each.effect])


def _verdict(each: Summary) -> Cell:
    verdict = str(each.judgement.verdict)
    shown = "yardstick" if each.row.is_yardstick else verdict
    return Cell(shown, {"verdict": verdict, "reason": each.judgement.reason}, EFFECTS[each.effect])


def _sees(each: Summary) -> Cell:
    visible = each.judgement.visible
    return Cell("-" if visible is None else percent(visible), visible)


def _error(each: Summary) -> Cell:
    error = each.accuracy.fp32_error if each.accuracy else None
    if error is None or each.row.is_yardstick:
        return Cell("-", error)
    return Cell("0" if error == 0 else f"{error:.0e}", error)


def _in_state(state: State, each: Summary) -> Cell:
    figures: Mapping[str, Value] = {
        f"{state}_seconds": each.seconds,
        f"{state}_speed_up": each.estimate.speedup if each.estimate else None,
        f"{state}_hit_rate": each.hit_rate,
    }
    if each.seconds is None:
        return Cell("-", figures)
    speedup = f" {each.estimate.speedup:.2f}x" if each.estimate else ""
    hits = f" {each.hit_rate:.0%}" if each.hit_rate is not None else ""
    return Cell(f"{milliseconds(each.seconds)}{speedup}{hits}", figures)


def _share(each: Summary, names: Sequence[str], total: float) -> Cell:
    """In per cent; a tower that marks none of these stages has their time elsewhere."""
    marked = [each.stages[stage] for stage in names if stage in each.stages]
    return Cell(f"{100 * sum(marked) / total:.0f}", sum(marked) / total) if marked else Cell("-")


def _rung(each: Summary) -> str:
    if each.judgement.verdict is Verdict.INACCURATE:
        return "FAIL"
    if each.estimate is None:
        return milliseconds(each.seconds)
    speedup = f"{each.estimate.speedup:.2f}x"
    return f"({speedup})" if each.effect == "unclear" else speedup
