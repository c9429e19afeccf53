"""The tables of one cell group: times, verdicts, costs, and what extra rounds found."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from statistics import median
from typing import Any

from vlbench.export.floor_share import of_floor
from vlbench.export.left_out import loss
from vlbench.export.sheet import Cell, Column, Columns, Table, Value, broken, figure, table_of
from vlbench.judging.busy import held_back
from vlbench.judging.quick import FAMILY
from vlbench.judging.summary import Summary, hold_together, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import milliseconds, percent, speedup_with_interval
from vlbench.record.schema import CellGroup, Results, State
from vlbench.stats.paired import Estimate, median_interval

EFFECTS = {"faster": "green", "slower": "red", "unclear": "dim"}
MUCH_IDLE = 0.10
"""Above this share of idleness a span says more of the host than of the GPU."""
QUEUE_HOLDS = 1_024
"""Launches that CUDA takes before the GPU has begun, about: the next one holds the host until there is room."""
REST = "forward"
"""What no stage marks."""
STAGES = {
    "plan": ("plan", "window_order", "rope", "positions", "restore_order"),
    "patches": ("patch_embed",),
    "attention": ("attention",),
    "mlp": ("mlp",),
    "merger": ("merger", "deepstack"),
    "rest": (REST,),
}
"""Column -> the stages that it adds up. A stage in none of them is a column of its own."""

FACTS = ("scenario", "point", "model", "dtype", "device", "threads", "weights")


def facts(group: CellGroup) -> dict[str, Value]:
    """What holds of every row of a group; a seam alone has no checkpoint, and that of prompts is of no one model."""
    without = ["weights", *(["model"] if group.point.startswith("prompt-") else [])] if _is_seam(group) else []
    return {fact: getattr(group, fact) for fact in FACTS if fact not in without}


def times_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """A quick look: variant, exactness, error, median, speed-up with interval, counts."""
    times = TIME | of_floor(found) | _speedups(group, found)
    figures = ERROR | loss(found) | times | _against(found) | _counts(group, found)
    return _table(group, found, VARIANT | CLASS | figures, gap=1)


def verdict_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """Several trials: the verdict, and the smallest change that would have been seen."""
    verdicts: Columns[Summary] = {
        Column("verdict", left=True): _verdict,
        Column("detect-\nable", "visible"): lambda each: figure(each.judgement.visible, percent),
    }
    errors = ERROR | loss(found) | TIME | of_floor(found) | _speedups(group, found)
    return _table(group, found, VARIANT | errors | _against(found) | verdicts, gap=1)


def cost_table(group: CellGroup, found: Sequence[Summary]) -> Table:
    """What does not depend on luck: exactness and counts; and what is paid once."""
    once: Columns[Summary] = {
        Column("first call ms", "first_seconds"): lambda each: figure(each.first_seconds, _tenths),
        Column("pays back after", "pays_back_after"): lambda each: figure(each.pays_back_after, "{} calls"),
    }
    return _table(group, found, VARIANT | CLASS | _counts(group, found) | once, gap=1)


def gpu_table(group: CellGroup, found: Sequence[Summary]) -> Iterator[Table]:
    """A call's span on a GPU, its busy part, the host's time to issue it, and the share of idleness, where measured."""
    columns: Columns[Summary] = {
        Column("span", "span_seconds"): lambda each: figure(each.seconds, milliseconds),
        Column("busy", "busy_seconds"): lambda each: figure(each.busy_seconds, milliseconds),
        Column("host", "host_seconds"): lambda each: figure(each.host_seconds, milliseconds),
        Column("idle", "idle_share"): _idle,
        Column("", "bound", left=True): _bound,
    }
    if any(each.host_seconds for each in found):
        throttled = held_back(group)
        title = "GPU: milliseconds of one call" + (f"; clock {throttled}" if throttled else "")
        yield _table(group, found, VARIANT | columns, title=title)


def behind_table(group: CellGroup) -> Iterator[Table]:
    """Behind queued work: how long a call holds the host, and when its first kernel begins; none where not measured."""
    if "behind" not in group.states:
        return
    timings = [each.timings.get("behind") for trial in group.trials for each in trial.variants]
    queues = [timing.queue_seconds for timing in timings if timing and timing.queue_seconds]
    queue = f"{milliseconds(median(queues))} ms" if queues else "an unknown length"
    columns: Columns[Summary] = {
        Column("host held", "held_seconds"): lambda each: figure(each.seconds, milliseconds),
        Column("first kernel", "first_kernel_seconds"): lambda each: figure(each.first_kernel_seconds, milliseconds),
        Column("", "queue_full", left=True): _queue_full,
    }
    title = f"behind {queue} of queued work: ms that the host is held, and to the first kernel"
    yield _table(group, summaries(group, Floors(), "behind"), VARIANT | columns, title=title)


def state_table(group: CellGroup) -> Iterator[Table]:
    """Milliseconds, speed-up and hit rate in each state of the caches; none where only warm calls were measured."""
    if (states := group.states) and states != ["warm"]:
        found = [summaries(group, Floors(), state) for state in states]
        rows = [(name(each[0]), *map(_in_state, states, each)) for each in zip(*found, strict=True)]
        title = "ms, speed-up and cache hits by state"
        yield Table("variants", [*VARIANT, *states], rows, title, facts(group))


def stage_table(group: CellGroup, found: Sequence[Summary]) -> Iterator[Table]:
    """Share of each stage, self time, from extra rounds, with what they leave open; none where no stage is marked."""
    timed = [
        each for each in found if any(share for one in each.stages for stage, share in one.items() if stage != REST)
    ]
    if timed:
        known = {stage for stages in STAGES.values() for stage in stages}
        others = dict.fromkeys(stage for each in timed for one in each.stages for stage in one if stage not in known)
        shares: Columns[Summary] = {
            Column(heading): partial(_share, heading, stages)
            for heading, stages in (STAGES | {stage: (stage,) for stage in others}).items()
        }
        yield _table(group, timed, VARIANT | shares, title="share of the forward, self time, % ± over rounds")


def ladder_tables(results: Results) -> Iterator[Table]:
    """A sweep at a glance: one table per scenario, model, dtype and device that was measured at two points or more."""
    for _, sweep in groupby(results.groups, key=_all_but_the_point):
        groups = list(sweep)
        if len(groups) > 1:
            first = groups[0]
            what = f"ms of {first.rows[0].name}, speed-ups (in brackets: not distinguishable)"
            found = [summaries(group, Floors()) for group in groups]
            rows = [(broken(each[0].row.name), *map(_rung, each)) for each in zip(*found, strict=True)]
            columns = [*VARIANT, *(group.point for group in groups)]
            yield Table("", columns, rows, f"{first.scenario}, {first.dtype}: {what}")


def name(each: Summary) -> Cell:
    """The variant, over as many lines as its column wants; with its plan handed in, as it stands below its tower."""
    return Cell(broken(each.row.name) if each.row.plan == "inside" else f"  plan={each.row.plan}", each.row.name)


def class_of(each: Summary) -> str:
    """How exact a variant claims to be."""
    return "reference" if each.row.is_reference else each.row.exactness


def error_text(error: float, digits: int = 0) -> str:
    """A relative error: "0", or so many digits behind the point."""
    return "0" if error == 0 else f"{error:.{digits}e}"


def speed_up_of(estimate: Estimate | None) -> dict[str, Value]:
    """The reference's time over that of the row, and its interval: the inverse of `ratio`; None without one."""
    found = estimate and (estimate.speedup, 1 / estimate.high, 1 / estimate.low)
    return dict(zip(("speed_up", "speed_up_low", "speed_up_high"), found or (None, None, None), strict=True))


def _table(group: CellGroup, found: Sequence[Summary], columns: Columns[Summary], **options: Any) -> Table:
    return table_of("variants", found, columns, facts=facts(group), **options)


def _speedups(group: CellGroup, found: Sequence[Summary]) -> Columns[Summary]:
    """The speed-ups under the level of their intervals, which stands beside each where it is not that of all.

    Few trials cannot give 95 %: of five it is 94 %, of three 75 %.
    """
    levels = {_level(each.estimate.confidence) for each in found if each.estimate}
    if hold_together(group, found):
        levels = {_level(1 - FAMILY)}
    if len(levels) < 2:
        return {Column(f"speed-up [{levels.pop()}]" if levels else "speed-up"): _speedup}
    level: Columns[Summary] = {
        Column("level"): lambda each: Cell(_level(each.estimate.confidence) if each.estimate else "", {})
    }
    return {Column("speed-up, interval"): _speedup} | level


def _level(confidence: float) -> str:
    return f"{100 * confidence:.0f} %"


def _against(found: Sequence[Summary]) -> Columns[Summary]:
    """Which row each ratio is taken to, where that is not the same for all."""
    if len({each.row.reference for each in found}) == 1:
        return {}
    return {Column("than", "reference", left=True, most=20): _reference}


def _is_seam(group: CellGroup) -> bool:
    return group.scenario.startswith("seam ")


def _counts(group: CellGroup, found: Sequence[Summary]) -> Columns[Summary]:
    """Of a seam alone only where it attends."""
    attends = not _is_seam(group) or any(each.counts and each.counts.attention_calls for each in found)
    return COUNTS if attends else {ATEN: COUNTS[ATEN]}


def _reference(each: Summary) -> Cell:
    return Cell("" if each.row.is_reference else broken(each.row.reference), each.row.reference)


def _all_but_the_point(group: CellGroup) -> tuple[str, ...]:
    return (group.scenario, group.model, group.dtype, group.device, *(row.name for row in group.rows))


def _tenths(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"


def _class(each: Summary) -> Cell:
    exactness = class_of(each)
    return Cell("reassoc." if exactness == "reassociated" else exactness, exactness)


def _error(each: Summary) -> Cell:
    error = each.accuracy.fp32_error if each.accuracy else None
    return Cell("-", error) if each.row.is_reference else figure(error, error_text)


def _speedup(each: Summary) -> Cell:
    estimate = each.estimate
    figures = speed_up_of(estimate) | {"confidence": estimate.confidence if estimate else None}
    if each.judgement.verdict is Verdict.INACCURATE:
        return Cell("FAIL", figures, "bold red")
    if estimate is None:
        return Cell("1" if each.row.is_reference and each.seconds else "not measured", figures, "dim")
    return Cell(speedup_with_interval(estimate), figures, EFFECTS[each.effect])


def _verdict(each: Summary) -> Cell:
    verdict = str(each.judgement.verdict)
    figures = {"verdict": verdict, "reason": each.judgement.reason}
    return Cell("reference" if each.row.is_reference else verdict, figures, EFFECTS[each.effect])


def _idle(each: Summary) -> Cell:
    return Cell("not measured") if each.idle_share is None else figure(each.idle_share, "{:.0%}")


def _bound(each: Summary) -> str:
    if each.idle_share is None:
        return ""
    return "host-bound" if each.idle_share > MUCH_IDLE else "device-bound"


def _queue_full(each: Summary) -> Cell:
    asked = each.counts.aten_operations if each.counts else None
    if asked is None or asked <= QUEUE_HOLDS:
        return Cell("", None if asked is None else False)
    return Cell(f"queue full: {asked:,} operations", True)


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


def _share(heading: str, stages: Sequence[str], each: Summary) -> Cell:
    """In per cent; a tower that marks none of these stages has their time elsewhere."""
    shares = [sum(one.get(stage, 0.0) for stage in stages) for one in each.stages if one.keys() & set(stages)]
    names = [f"share_{heading}{end}" for end in ("", "_low", "_high")]
    if not shares:
        return Cell("-", dict.fromkeys(names))
    middle, low, high, _ = median_interval(shares)
    reach = max(high - middle, middle - low)
    open_by = f" ±{100 * reach:.0f}" if len(shares) > 1 else ""
    return Cell(f"{100 * middle:.0f}{open_by}", dict(zip(names, (middle, low, high), strict=True)))


def _rung(each: Summary) -> str:
    if each.judgement.verdict is Verdict.INACCURATE:
        return "FAIL"
    if each.estimate is None:
        return milliseconds(each.seconds)
    speedup = f"{each.estimate.speedup:.2f}x"
    return f"({speedup})" if each.effect == "unclear" else speedup


VARIANT: Columns[Summary] = {Column("variant", most=20): name}
CLASS: Columns[Summary] = {Column("class", "exactness", left=True, most=20): _class}
ERROR: Columns[Summary] = {Column("error", "fp32_error"): _error}
TIME: Columns[Summary] = {Column("ms", "seconds"): lambda each: figure(each.seconds, milliseconds)}
ATEN = Column("aten\nops", "aten_operations")
COUNTS: Columns[Summary] = {
    ATEN: lambda each: figure(each.counts and each.counts.aten_operations, str),
    Column("SDPA", "attention_calls"): lambda each: figure(each.counts and each.counts.attention_calls, str),
}
