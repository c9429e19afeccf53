"""Counts as a sheet: what a tower asks of a GPU, and each line that waits or copies, with the flag that removes it."""

from collections import Counter as Multiset
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

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
from vlbench.judging.words import readable_bytes
from vlbench.record.calibration import Calibration, Check
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward
from vlbench.record.site import Site, Where, outside_of_helpers

SITE_FIELDS = ("event", "times", "bytes", "pinned", "blocking", "allowed", "operation", "advice")
CHECKED = {"syncs": "host_syncs", "uploads": "uploads", "read-backs": "read_backs"}
"""Of a calibration, by heading: the counters that are counted here and seen on the GPU."""


def counted_sheet(report: CountReport, cold: bool, kernels: Iterable[str], *, where: bool = False) -> Sheet:
    """Every group's table, and what to know of it; `kernels` says how far operations stand for kernels."""
    parts: list[Part] = []
    for group in report.groups:
        parts += [Words(title(report, group), "bold"), Words(), count_table(report, group, cold), Words()]
    towers = [tower for group in report.groups for tower in group.towers]
    which = "the first forward (caches are empty)" if cold else "the second forward (--cold shows the first)"
    cost = f"No GPU was used: {report.seconds:.1f} s, {report.peak_host_bytes / 1e6:.0f} MB in all."
    parts += complaints(towers)
    parts.append(Words(f"Counted: {which}. An upload without its own line in the code is implicit."))
    parts += [*map(Words, kernels), *from_outside(towers, cold), *answered(towers), Words(cost, "dim")]
    if where:
        for group in report.groups:
            for tower in group.towers:
                parts += [Words(), *_where(report, group, tower, cold)]
    return checked("vlbench count", parts, counted_whole(report), json=lambda: report.model_dump_json(indent=1))


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


def title(report: CountReport, group: CountGroup) -> str:
    """What was counted, in one line."""
    point = f" [{group.point}]" if group.point else ""
    much = f"{sum(t * h * w for t, h, w in group.grids):,} patches"
    if group.images:
        much = f"{len(group.grids):,} image{'s' * (len(group.grids) > 1)}"
    fed = "x".join(map(str, group.grids[0])) if len(group.grids) == 1 else f"{len(group.grids)} grids"
    return f"{group.scenario}{point}: {fed}, {much}, {report.dtype}, as {report.profile}"


def count_table(report: CountReport, group: CountGroup, cold: bool) -> Table:
    """A row per tower: operations, attention calls, syncs, copies, memory."""
    rows = [(_name(tower), *_figures(chosen(tower, cold))) for tower in group.towers]
    columns = [
        Column("variant", most=20),
        Column("device\nops", "device_operations"),
        Column("attn\ncalls", "attention_calls"),
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
    if tower.further and (odd := ", ".join(tower.further.uneven)):
        yield Words(f"calls that are alike do not count alike: the second and {odd}", "yellow")
    if tower.left_out:
        yield Words(f"without {', '.join(tower.left_out)}, which mean nothing here", "dim")


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


def _name(tower: CountedTower) -> Cell:
    """In its column: a factory without its package, which the lines below name whole."""
    package, colon, factory = tower.name.rpartition(":")
    mark = "" if tower.complete else " (!)"
    return Cell(broken(f"{package.rpartition('.')[2]}{colon}{factory}") + mark, tower.name)


def _figures(forward: Forward | None) -> list[Cell | Value]:
    """The counters; of a forward that was not counted whole they are at least that, and no figures for programs."""
    if forward is None:
        return [Cell("not counted", style="red"), *[""] * 6]
    total, peak = forward.counts.total, forward.counts.peak_live_bytes
    uploads = f"{total.uploads:,} ({readable_bytes(total.upload_bytes)})" if total.uploads else "0"
    cells: list[Cell | Value] = [
        total.device_operations,
        total.attention_calls,
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
    if not forward.sites:
        yield Words(f"{tower.name}: no line waits or copies", "bold")
        return
    many = len(forward.sites)
    yield Words(f"{tower.name}: {'1 line waits or copies' if many == 1 else f'{many} lines wait or copy'}", "bold")
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
        waits.update(dict.fromkeys(site.flags, site.times))
    if waits:
        listed = ", ".join(f"{flag} {times:,}" for flag, times in waits.most_common())
        yield Words(f"Waits that flags of ours remove from towers like this: {listed}.")


def _site(site: Site, named: Where) -> Iterator[Words]:
    """`named` is the nearest line outside of shared helpers."""
    yield Words(f"{site.times:>6,}x {_what(site)}", cut=True)
    yield Words(f"{named.place} ({site.operation})".strip(), "dim", indent=8)
    yield Words(named.source, indent=8, cut=True)
    if named != site.where:
        yield Words(f"through {site.where}", "dim", indent=8, cut=True)
    if site.allowed:
        yield Words(f"allowed: {site.allowed}", "dim", indent=8)
    if site.advice:
        yield Words(f"-> {site.advice}{_flags(site)}", "green", indent=8)


def _what(site: Site) -> str:
    waits = "" if site.blocking else ", without waiting"
    memory = "" if site.event in ("read-back", "synchronize") else ", pinned" if site.pinned else ", pageable"
    size = "" if site.event == "synchronize" else f", {readable_bytes(site.bytes)}"
    return f"{site.event}{size}{memory}{waits}: {site.expression or site.operation}"


def _flags(site: Site) -> str:
    return f": {' or '.join(site.flags)}, {site.times:,} wait{'s' * (site.times > 1)}" if site.flags else ""


def calibrated_sheet(found: Calibration, path: Path) -> Sheet:
    """Per tower: counted and seen, and the kernels that the others' table gives; below it, every disagreement."""
    headings = [*(f"{counter}\ncounted/seen" for counter in CHECKED), "kernels\nmodel/seen"]
    rows = [(Cell(broken(each.tower), each.tower), *_pairs(each)) for each in found.checks]
    how = "each tower modelled from the others" if found.out_of_sample else "in sample, as there is one tower"
    kinds = f"{len(found.entries)} kinds of operations"
    parts: list[Part] = [
        Words(f"{found.gpu}, torch {found.torch_version}, as {found.profile}", "bold"),
        Table("calibration", [Column("tower", most=20), *headings], rows),
        Words(f"{kinds}; largest error of modelled kernels {found.error:.1%} ({how})."),
        *(Words(line, "red") for each in found.checks for line in _disagreements(each)),
        Words(f"Calibration in {path}", "dim"),
    ]
    verdicts = tuple(map(_judged, found.checks))
    judged = Judged(command="calibrate", before="counted", after=f"seen on {found.gpu}", rows=verdicts)
    return checked("vlbench calibrate", parts, judged, json=lambda: found.model_dump_json(indent=1))


def _judged(each: Check) -> JudgedRow:
    """A count that the GPU does not have is missing from what it stands for."""
    reason = "syncs and copies are the same" if each.exact else "; ".join(_disagreements(each)) or "figures differ"
    verdict = Verdict.SAME if each.exact else Verdict.MISSING
    return JudgedRow(cell=each.tower, measure="counters", verdict=verdict, reason=reason)


def _pairs(each: Check) -> Iterator[Cell]:
    for name in CHECKED.values():
        counted, seen = each.counted[name], each.seen[name]
        yield Cell(f"{counted:,}/{seen:,}", {f"{name}_counted": counted, f"{name}_seen": seen})
    kernels = {"kernels_modelled": each.modelled_kernels, "kernels_seen": each.kernels}
    yield Cell(f"{each.modelled_kernels:,.0f}/{each.kernels:,}", kernels)


def _disagreements(each: Check) -> list[str]:
    return [
        *(f"{each.tower}: {line.where}: {line.counted} waits counted, {line.warned} warned of" for line in each.lines),
        *(f"{each.tower}: {call}: {both[0]} calls counted, {both[1]} seen" for call, both in each.calls.items()),
        *(f"{each.tower}: {n} kernels in {name}, which is not counted" for name, n in each.unattributed.items()),
    ]
