"""Counts as a sheet: what a tower asks of a GPU, and each line that waits or copies, with the flag that removes it."""

from collections import Counter as Multiset
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from vlbench.export.fed import title
from vlbench.export.lines_found import lines_found
from vlbench.export.sheet import (
    Cell,
    Column,
    Columns,
    Part,
    Sheet,
    Table,
    Value,
    Words,
    broken,
    checked,
    shown,
    table_of,
)
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of, readable_bytes
from vlbench.record.capturable import Blocker
from vlbench.record.counted import CHURN, CountedTower, CountGroup, CountReport, Forward
from vlbench.record.site import Event, Site, Where, outside_of_helpers
from vlbench.record.timing import PlanMade, handed_in

PLAN: Event = "attention plan"
SITE_FIELDS = ("event", "times", "bytes", "pinned", "blocking", "allowed", "operation", "advice")


def counted_sheet(report: CountReport, cold: bool, kernels: Iterable[str], *, where: bool = False) -> Sheet:
    """Every group's table, and what to know of it; `kernels` says how far operations stand for kernels."""
    parts: list[Part] = []
    for group in report.groups:
        parts += [Words(title(report, group), "bold"), Words(), count_table(report, group, cold), Words()]
    rows = [(group, tower) for group in report.groups for tower in group.towers]
    towers = [tower for _, tower in rows]
    which = "the first forward (caches are empty)" if cold else "the second forward (--cold shows the first)"
    cost = f"No GPU was used: {report.seconds:.1f} s, {report.peak_host_bytes / 1e6:.0f} MB in all."
    parts += complaints(towers)
    parts.append(Words(f"Counted: {which}. An upload without its own line in the code is implicit."))
    parts += [*map(Words, kernels), *without_plan(towers), *plans_built(towers), *from_outside(towers, cold)]
    parts += [*answered(towers), Words(cost, "dim")]
    if where:
        for group, tower in rows:
            parts += [Words(), *_where(report, group, tower, cold)]
    sheet = checked("vlbench count", parts, counted_whole(report), json=lambda: report.model_dump_json(indent=1))
    counted = ((group, tower.name, forward) for group, tower in rows if (forward := chosen(tower, cold)))
    found = lines_found((f"{name} {title(report, group)}", forward.sites) for group, name, forward in counted)
    return replace(sheet, lines=found)


def counted_whole(report: CountReport) -> Judged:
    """Was each tower counted, and nothing in it guessed? What could not be counted is missing."""
    rows = tuple(
        JudgedRow(
            cell=f"{tower.name} {title(report, group)}",
            measure="counters",
            verdict=Verdict.SAME if tower.complete else Verdict.MISSING,
            reason="all of it was counted" if tower.complete else _incomplete(tower),
        )
        for group in report.groups
        for tower in group.towers
    )
    return Judged(command="count", before="the code", after="its counts", rows=rows)


def _incomplete(tower: CountedTower) -> str:
    said = [each.text for each in _complaints(tower) if each.style == "red"]
    return "; ".join(said) or "one of its two forwards was not counted whole"


def count_table(report: CountReport, group: CountGroup, cold: bool) -> Table:
    """A row per tower: operations, attention calls and plans, syncs, copies, memory."""
    towers = [tower for each in report.groups for tower in each.towers]
    plans, platforms = any(tower.plan != "inside" for tower in group.towers), any(map(_platform, towers))
    rows = [(_name(tower, plans=plans, platforms=platforms), *_figures(chosen(tower, cold))) for tower in group.towers]
    columns = [
        Column("variant", most=20),
        Column("device\nops", "device_operations"),
        Column("attn\ncalls", "attention_calls"),
        Column("attn\nplans", "attention_plans"),
        Column("host\nsyncs", "host_syncs"),
        Column("read-\nbacks", "read_backs"),
        Column("uploads\n(bytes)", "uploads"),
        Column("implicit\nuploads", "implicit_uploads"),
        Column("peak\nMB", "peak_live_bytes"),
    ]
    return Table("counts", columns, rows, facts=_facts(report, group), gap=1)


def chosen(tower: CountedTower, cold: bool) -> Forward | None:
    """The forward that is shown."""
    return tower.cold if cold else tower.warm


def complaints(towers: Iterable[CountedTower]) -> Iterator[Words]:
    """What was not counted, or cannot be trusted, by name: what holds for several towers once."""
    names: dict[Words, dict[str, None]] = {}
    for tower in towers:
        for words in _complaints(tower):
            names.setdefault(words, {})[tower.name] = None
    for words, of in names.items():
        yield replace(words, text=f"{', '.join(of)}: {words.text}")


def _complaints(tower: CountedTower) -> Iterator[Words]:
    if tower.failed:
        yield Words(f"not counted: {tower.failed}", "red")
    counts = tower.warm.counts if tower.warm else None
    for name, times in (counts.unknown if counts else {}).items():
        yield Words(
            f"unknown operation {name}, {times:,}x, taken for one device operation without a wait each; say what it is "
            f'with vlbench.counting_device.declare("{name}", read_backs=...)',
            "red",
        )
    for sentence in counts.not_measured if counts else ():
        yield Words(f"not measured: {sentence}", "red")
    for each in counts.assumptions if counts else ():
        why = "as for any finite floats in range" if each.certain else "which floats may decide otherwise"
        often = f", {each.times:,}x" if each.times > 1 else ""
        yield Words(f"{each.where.place} waits for a value{often}; taken as {each.taken}, {why}", "yellow")
    if counts and counts.total.allowed_syncs:
        yield Words(f"{counts.total.allowed_syncs:,} more waits are allowed by marks in its code")
    if counts and counts.key.platform:
        yield Words(f"its code is for a {counts.key.platform}: no count of a GPU's code compares with it", "yellow")
    if tower.further and (odd := ", ".join(tower.further.uneven)):
        yield Words(f"calls that are alike do not count alike: the second and {odd}", "yellow")
    if tower.warm and tower.warm.grids_sent and tower.plan == "inside":
        much = readable_bytes(tower.warm.grids_sent)
        yield Words(f"takes its grids on the device: sent before, {much} in one upload that is not counted", "dim")
    if tower.left_out and tower.plan == "inside":
        yield Words(f"without {', '.join(tower.left_out)}, which mean nothing here", "dim")


def without_plan(towers: Sequence[CountedTower]) -> Iterator[Words]:
    """Where plans are handed in: who takes none."""
    names = {tower.name: tower.plan for tower in towers}
    without = [name for name, plan in names.items() if plan == "inside" and handed_in(name, "device") not in names]
    if without and len(set(names.values())) > 1:
        yield Words(f"A plan handed in is not offered by {', '.join(without)}.")


def plans_built(towers: Sequence[CountedTower]) -> Iterator[Words]:
    """Plans that cuDNN builds for attention on grids that are new, where it builds any."""
    told = []
    for tower in towers:
        if tower.plan != "inside":
            continue  # of further calls with a plan handed in nothing is known
        churn = tower.further.calls.get(CHURN, {}) if tower.further else {}
        first, later = tower.cold.counts.total.attention_plans if tower.cold else 0, churn.get("attention_plans", 0)
        if first or later:
            told.append(f"{tower.name} {first:,} and {later:,}")
    if told:
        yield Words(f"Plans of cuDNN in the first forward, and on {CHURN} of the smallest size: {', '.join(told)}.")


def from_outside(towers: Iterable[CountedTower], cold: bool) -> Iterator[Words]:
    """Operators that are not torch's own, with how often each was called."""
    operators: Multiset[str] = Multiset()
    for tower in towers:
        if forward := chosen(tower, cold):
            operators.update(forward.counts.operations)
    foreign = [(name, times) for name, times in operators.most_common() if not name.startswith("aten::")]
    if foreign:
        yield Words(f"From outside torch, one operation each: {_listed(foreign)}.", "dim")


def answered(towers: Iterable[CountedTower]) -> Iterator[Words]:
    """What code asked about the GPU, and what it was told."""
    answers: Multiset[str] = Multiset()
    for tower in towers:
        for each in tower.questions:
            answers[f"{each.question} -> {each.answer}"] += each.times
    if answers:
        yield Words(f"Asked of the device, and answered: {_listed(answers.most_common())}.", "dim")


def _listed(times: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({count}x)" for name, count in times)


def _facts(report: CountReport, group: CountGroup) -> dict[str, Value]:
    return {"scenario": group.scenario, "point": group.point, "dtype": report.dtype, "profile": report.profile}


def name_told(name: str, plan: PlanMade) -> str:
    """A row's name in its column: a factory without its package, or the plan, below the row of its tower."""
    package, colon, factory = name.rpartition(":")
    return f"  plan={plan}" if plan != "inside" else broken(f"{package.rpartition('.')[2]}{colon}{factory}")


def _name(tower: CountedTower, *, plans: bool, platforms: bool) -> Cell:
    """In its column; the lines below name it whole. Programs are told its plan and its platform where rows have any."""
    mark = "" if tower.complete else " (!)"
    told = "    making it" if tower.making else name_told(tower.name, tower.plan)
    plan: dict[str, Value] = {"plan": tower.plan} if plans else {}
    platform: dict[str, Value] = {"platform": _platform(tower)} if platforms else {}
    return Cell(told + mark, {"variant": tower.name} | plan | platform)


def _platform(tower: CountedTower) -> str | None:
    """What its counts say of its code, None where it has none."""
    return next((each.counts.key.platform for each in (tower.warm, tower.cold) if each), None)


def _figures(forward: Forward | None) -> list[Cell | Value]:
    """The counters; of a forward that was not counted whole they are at least that, and no figures for programs."""
    if forward is None:
        return [Cell("not counted", style="red"), *[""] * 7]
    total, peak = forward.counts.total, forward.counts.peak_live_bytes
    uploads = f"{total.uploads:,} ({readable_bytes(total.upload_bytes)})" if total.uploads else "0"
    cells: list[Cell | Value] = [
        total.device_operations,
        total.attention_calls,
        total.attention_plans,
        total.host_syncs,
        total.read_backs,
        Cell(uploads, {"uploads": total.uploads, "upload_bytes": total.upload_bytes}),
        total.implicit_uploads,
        Cell(f"{peak / 1e6:,.0f}", peak),
    ]
    return cells if forward.counts.complete else [_at_least(each) for each in cells]


def _at_least(count: Cell | Value) -> Cell:
    """A count to which something adds that is not known."""
    return Cell(f"\N{GREATER-THAN OR EQUAL TO}{shown(count)}" if count else "not measured")


def _where(report: CountReport, group: CountGroup, tower: CountedTower, cold: bool) -> Iterator[Part]:
    """A tower's lines, the most frequent first, and how many waits each flag removes."""
    forward = chosen(tower, cold)
    if forward is None:
        return
    many = sum(site.event != PLAN for site in forward.sites)
    does = {0: "no line waits or copies", 1: "1 line waits or copies"}.get(many, f"{many} lines wait or copy")
    if plans := len(forward.sites) - many:
        does += f", and attention plans come from {plans}"
    yield Words(f"{tower.name}: {does}", "bold")
    if not forward.sites:
        return
    columns: Columns[Site] = {
        "where": lambda site: str(site.where),
        "called_from": lambda site: " <- ".join(map(str, site.callers)),
        **{field: attrgetter(field) for field in SITE_FIELDS},
        "flags": lambda site: " ".join(site.flags),
    }
    facts = {**_facts(report, group), "variant": tower.name}
    chains = outside_of_helpers((site.where, *site.callers) for site in forward.sites)
    lines = [line for site in forward.sites for line in _site(site, chains[site.where, *site.callers])]
    yield table_of("lines", forward.sites, columns, facts=facts, lines=lines)
    waits: Multiset[str] = Multiset()
    for site in forward.sites:
        waits.update(dict.fromkeys(site.flags if site.event != PLAN else (), site.times))
    if waits:
        listed = ", ".join(f"{flag} {times:,}" for flag, times in waits.most_common())
        yield Words(f"Waits that flags of ours remove from towers like this: {listed}.")


def line_words(site: Site | Blocker, what: str, named: Where) -> Iterator[Words]:
    """What happened at a line, and how often; `named` is the nearest line outside of shared helpers."""
    yield Words(f"{site.times:>6,}x {what}", cut=True)
    yield Words(f"{named.place} ({site.operation})".strip(), "dim", indent=8)
    yield Words(named.source, indent=8, cut=True)
    if named != site.where:
        yield Words(f"through {site.where}", "dim", indent=8, cut=True)


def _site(site: Site, named: Where) -> Iterator[Words]:
    yield from line_words(site, _what(site), named)
    if site.allowed:
        yield Words(f"allowed: {site.allowed}", "dim", indent=8)
    if site.advice:
        yield Words(f"-> {site.advice}{_flags(site)}", "green", indent=8)


def _what(site: Site) -> str:
    if site.event == PLAN:
        return f"{PLAN}: {site.expression or site.operation}"
    waits = "" if site.blocking else ", without waiting"
    memory = "" if site.event in ("read-back", "synchronize") else ", pinned" if site.pinned else ", pageable"
    size = "" if site.event == "synchronize" else f", {readable_bytes(site.bytes)}"
    return f"{site.event}{size}{memory}{waits}: {site.expression or site.operation}"


def _flags(site: Site) -> str:
    if not site.flags:
        return ""
    what = "plan" if site.event == PLAN else "wait"
    return f": {' or '.join(site.flags)}, {number_of(site.times, what)}"
