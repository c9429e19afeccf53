"""Results of a run, or of a check of accuracy, as a sheet."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import median

from vlbench.export import result_tables as tables
from vlbench.export.at_scale import at_scale_parts
from vlbench.export.plan_tables import plan_tables
from vlbench.export.planned import shard_parts
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Words, checked, figure, table_of
from vlbench.implementations.best import certificate
from vlbench.implementations.config import MODELS
from vlbench.judging.instances import told_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.summary import Summary, hold_together, is_quick_look, ranked, summaries, why_incomplete
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.vote import expected_false_rows
from vlbench.judging.words import milliseconds, number_of
from vlbench.record.files import why_unsealed
from vlbench.record.machine_card import MachineCard
from vlbench.record.schema import NO_FLAGS, CellGroup, Results

NOT_MEASURED = "not measured"


def results_sheet(results: Results, before: Iterable[Part] = (), after: Iterable[Part] = ()) -> Sheet:
    """The machine, every cell group, and what to expect of so many rows, between what a command has to add."""
    parts = [Words(results.fingerprint.line, "dim"), *before, *results_parts(results), *after]
    parts += shard_parts(results.shards)
    if reason := why_unsealed(results):
        parts.insert(1, Words(f"{reason}: nothing shows whether a figure was edited", "red"))
    judged = judged_groups("run", results.groups)
    if told := why_incomplete(results):
        missed = JudgedRow.missing("the run", "time", f"not complete: {told}")
        judged = judged.model_copy(update={"rows": (*judged.rows, missed)})
        parts.append(Words(f"Not complete: {told}.", "yellow"))
    return checked(results.command, parts, judged, json=lambda: results.model_dump_json(indent=1))


def results_parts(results: Results) -> Iterator[Part]:
    """Every cell group, then the sweeps among them."""
    for group in results.groups:
        yield Words()
        yield from group_parts(group)
    for table in tables.ladder_tables(results):
        yield from (Words(), table)
    rows = sum(len(group.rows) - 1 for group in results.groups)
    if any(is_voted(group) for group in results.groups) and rows >= 100:
        yield Words(f"Of {rows} rows, {expected_false_rows(rows):.2g} are expected to be called by chance.")


def machine_parts(results: Results) -> list[Part]:
    """The card of the machine, where it was measured."""
    return [Words("\nThe machine:\n" + "\n".join(card_lines(results.machine)), "dim")] if results.machine else []


def group_parts(group: CellGroup) -> Iterator[Part]:
    """Everything to show of one cell group."""
    found = summaries(group, Floors())
    voted = is_voted(group)
    yield Words(title(group), "bold")
    if group.trials:
        yield Words(f"fed in: {group.trials[0].batch}", "dim")
    if group.why_scaled:
        yield Words(group.why_scaled, "dim")
    shown = found if is_in_steps(group) else ranked(found)
    yield Words()
    yield tables.verdict_table(group, shown) if voted else tables.times_table(group, shown)
    yield from group_notes(group, shown)
    others = [tables.cost_table(group, shown)] if voted else []
    others += plan_tables(group, shown)
    others += [*tables.gpu_table(group, shown), *tables.behind_table(group), *tables.state_table(group)]
    others += tables.stage_table(group, shown)
    for table in others:
        yield from (Words(), table)
    yield from at_scale_parts(group, shown)


def group_notes(group: CellGroup, shown: Sequence[Summary]) -> Iterator[Words]:
    """What stands below the table of a group: what failed, what was lost, how to read its rows."""
    yield from pieces(group)
    yield from failures(shown)
    yield from own_difference(group)
    yield from (Words(f"lost: {reason}", "red") for reason in group.lost)
    if words := in_words(shown, is_voted(group), together=hold_together(group, shown)):
        yield from (Words(), Words(words))
    if any(row.reference == NO_FLAGS for row in group.rows):
        yield Words(
            f"Single flags are held against {NO_FLAGS}, the optimized tower without any: having a choice costs."
        )
    if any(row.name == "best" for row in group.rows):
        width = MODELS[group.model].hidden_size if group.model in MODELS else None
        claim = certificate(group.device, width).claim
        yield Words(f"How best was chosen: {claim}; other shapes may want other flags (`vlbench recommend`).", "dim")
    if any(row.name.startswith("without ") for row in group.rows):
        yield Words("A row without a flag is taken to the whole set: slower means that the flag helps.")


def title(group: CellGroup) -> str:
    """What was measured, in one line."""
    threads = number_of(group.threads, "thread")
    where = f"{group.device}, {threads}" if group.device == "cpu" else group.device
    point = f" [{group.point}]" if group.point else ""
    several = f", {_trials(group)} trials" if is_voted(group) else ""
    known = tables.facts(group)
    model = f"{group.model}, " if "model" in known else ""
    weights = f", {group.weights} weights" if "weights" in known else ""
    return f"{group.scenario}{point}: {model}{group.dtype}, {where}{weights}{several}"


def _trials(group: CellGroup) -> int:
    """How many were made: a piece that went on later has its trial's number and a multiple of all that were planned."""
    numbers = [trial.number for trial in group.vote()]
    return len({number % group.planned for number in numbers} if group.planned else numbers)


def pieces(group: CellGroup) -> Iterator[Words]:
    """What the reference tower took in each piece of a quick look, where it went on at another time."""
    timings = [trial.variants[0].timings.get("warm") for trial in group.vote() if trial.variants]
    took = [milliseconds(median(timing.seconds)) for timing in timings if timing]
    if is_quick_look(group) and len(took) > 1:
        name = group.rows[0].name
        yield Words(
            f"One trial in {len(took)} pieces, in which {name} took {', '.join(took)} ms: speed-ups are to {name} of "
            "the same piece, and ms of different pieces do not compare.",
            "dim",
        )


def own_difference(group: CellGroup) -> Iterator[Words]:
    """How far the reference tower's own instances are apart, the run's own A/A; and what tells of a busy machine."""
    for told in told_of(group):
        yield Words(told, "dim" if told.startswith("A/A") else "yellow")


def failures(found: Iterable[Summary]) -> Iterator[Words]:
    """A line for each variant that is wrong, with where it is worst, and one for all without times for one reason."""
    untimed: dict[str, list[str]] = {}
    for each in found:
        if each.judgement.verdict is Verdict.INACCURATE:
            yield Words(f"{each.row.name}: FAIL: {each.judgement.reason}{_where(each)}", "red")
        elif each.accuracy is None:
            untimed.setdefault(each.judgement.reason, []).append(each.row.name)
    yield from (Words(f"{', '.join(names)}: {reason}", "red") for reason, names in untimed.items())


def in_words(found: Sequence[Summary], voted: bool, *, together: bool) -> str:
    """What helps, what hurts, and what is not distinguishable; of a quick look only what two processes say."""
    unclear = "Inconclusive" if voted else "Not distinguishable"
    names: dict[str, list[str]] = {"Faster": [], "Slower": [], "Same": [], unclear: []}
    for each in found:
        if each.estimate is not None:
            effect = unclear if each.effect == "unclear" else each.effect.capitalize()
            speedup = "" if each.effect == "unclear" else f" {each.estimate.speedup:.2f}x"
            same = each.judgement.verdict is Verdict.SAME
            names["Same" if same else effect].append(f"{each.row.name}{speedup}")
    lines = [f"{effect}: {', '.join(listed)}." for effect, listed in names.items() if listed]
    if not voted and lines:
        lines += _beyond_one(found)
        rows = sum(map(len, names.values()))
        hold = f"Intervals hold for all {rows} rows together. " if rows > 1 and together else ""
        lines.append(
            f"This is a quick look: a row is called where two processes show it beyond 1 %. {hold}"
            "--trials 5 gives verdicts."
        )
    return "\n".join(lines)


def _beyond_one(found: Sequence[Summary]) -> Iterator[str]:
    """Why a row whose whole interval lies on one side of 1 is not distinguishable all the same."""
    within = []
    for each in found:
        if each.estimate and each.effect == "unclear" and (each.estimate.low > 1 or each.estimate.high < 1):
            if each.is_suspect:
                yield f"{each.row.name}: {each.judgement.reason}."
            else:
                within.append(each.row.name)
    if within:
        yield f"On one side of 1, but not beyond 1 % or what identical instances differ by: {', '.join(within)}."


def judged_groups(command: str, groups: Iterable[CellGroup]) -> Judged:
    """What passes and fails: a row's accuracy gates, its time only where it is missing. A run judges no change."""
    rows = []
    for group in groups:
        found = {each.row.name: each for each in summaries(group, Floors())}
        for each in found.values():
            cell = f"{each.row.name} {title(group)}"
            wrong = each.judgement.verdict in (Verdict.INACCURATE, Verdict.MISSING)
            right = _passed(each)
            verdict = Verdict.SAME if right else each.judgement.verdict
            reason = f"its accuracy check passed ({tables.class_of(each)})" if right else each.judgement.reason
            rows.append(JudgedRow(cell=cell, measure="accuracy", verdict=verdict, reason=reason))
            if right and command == "run" and not each.row.is_reference:
                rows.append(_timed(cell, each, found[each.row.reference], gates=wrong))
        rows += [JudgedRow.missing(f"all rows {title(group)}", "time", f"lost: {reason}") for reason in group.lost]
    before, after = "the reference tower", "its variants"
    return Judged(command=command, before=before, after=after, rows=tuple(rows), false_alarms=None)


def verified_sheet(group: CellGroup, batches: Sequence[str], *, failures_only: bool, json: Callable[[], str]) -> Sheet:
    """One row per variant: its class, its largest error, what is allowed, and pass or FAIL."""
    found = summaries(group, Floors())
    columns: Columns[Summary] = {
        Column("variant", most=24): tables.name,
        Column("class", "exactness", left=True): lambda each: tables.class_of(each) if each.accuracy else "-",
        Column("float32\nerror", "fp32_error"): _error("fp32_error"),
        Column("allowed", "fp32_limit"): _error("fp32_limit"),
    }
    if (dtype := group.dtype) != "float32":
        columns[Column(f"{dtype}\nerror", "timed_error")] = _error("timed_error")
        columns[Column("allowed", "timed_limit")] = _error("timed_limit")
    columns[Column("", "passed", left=True)] = lambda each: PASS if _passed(each) else FAIL
    shown = [each for each in found if not (failures_only and _passed(each))]
    many = number_of(len(batches), "batch", "batches")
    outcome = f"{sum(map(_passed, found))} of {len(found)} passed on {many}: {', '.join(batches)}."
    heading = f"{group.model}, {group.dtype}, {group.device}, {group.weights} weights"
    table = table_of("verified", shown, columns, facts=tables.facts(group))
    parts: list[Part] = [Words(heading, "bold"), table, *failures(found), Words(outcome)]
    return checked("vlbench verify", parts, judged_groups("verify", [group]), json=json)


PASS, FAIL = Cell("pass", True, "green"), Cell("FAIL", False, "bold red")


def _passed(each: Summary) -> bool:
    return each.accuracy is not None and each.accuracy.passed


def _error(field: str) -> Callable[[Summary], Cell]:
    """A cell with this figure of the accuracy check."""
    return lambda each: figure(each.accuracy and getattr(each.accuracy, field), partial(tables.error_text, digits=1))


def _timed(cell: str, each: Summary, reference: Summary, *, gates: bool) -> JudgedRow:
    before = reference.seconds if each.estimate else None
    return JudgedRow.of(cell, each.judgement, gates=gates, before=before, after=each.seconds, unit="s")


def is_voted(group: CellGroup) -> bool:
    return not is_quick_look(group) and len(group.vote()) > 1


def is_in_steps(group: CellGroup) -> bool:
    """Is it an ablation in which rows are taken to one another? Then their order says something."""
    return any(row.reference not in (group.rows[0].name, NO_FLAGS) for row in group.rows)


def _where(each: Summary) -> str:
    token = each.accuracy.worst_token if each.accuracy else None
    if token is None:
        return ""
    place = f"item {token.item}, frame {token.frame}, row {token.row}, column {token.column}"
    return f"; worst token: {place} (error {token.error:.2g})"


def card_lines(card: MachineCard) -> list[str]:
    """The card for a terminal, one figure or one size of copies a line."""
    threads = number_of(card.torch_threads, "thread")
    gemm = f"{card.gemm_size} x {card.gemm_size}"
    rows = [
        ("launch of a tiny operation", _with_unit(card.launch_us, "us")),
        ("synchronize, nothing to await", _with_unit(card.sync_us, "us")),
        ("launch and synchronize", _with_unit(card.round_trip_us, "us")),
        (f"matrix product {gemm}, fp32", _with_unit(card.gemm_fp32_gflops, "GFLOP/s")),
        (f"matrix product {gemm}, bf16", _with_unit(card.gemm_bf16_gflops, "GFLOP/s")),
        ("copy in device memory", _with_unit(card.copy_gb_s, "GB/s, read and written")),
        ("Python, one thread", _with_unit(card.python_loops_per_s * 1e-6, "million loop passes/s")),
        ("clock", f"steps of {card.clock_step_ns} ns"),
    ]
    lines = [f"machine card: {card.device}, {threads}, measured in {card.took_seconds:.1f} s"]
    lines += [f"  {name:<34}{value}" for name, value in rows]
    lines.append(f"  {'copy of':<10}{'on the host':>22}{'pageable to GPU':>22}{'pinned to GPU':>22}")
    for copy in card.copies:
        costs = (_copy_cost(us, copy.size_bytes) for us in (copy.host_us, copy.pageable_us, copy.pinned_us))
        lines.append(f"  {_binary_size(copy.size_bytes):<10}{''.join(costs)}")
    return lines


def _copy_cost(us: float | None, size: int) -> str:
    if us is None:
        return f"{NOT_MEASURED:>22}"
    return f"{_three_digits(us):>7} us{_three_digits(size * 1e-3 / us):>7} GB/s"


def _with_unit(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{_three_digits(value)} {unit}"


def _three_digits(value: float) -> str:
    """Three digits where there is a point."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _binary_size(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"
