"""Counts as a sheet: what a tower asks of a GPU, and each line that waits or copies, with the flag that removes it."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterable, Iterator

from vlbench.export.sheet import Cell, Column, Part, Sheet, Table, Value, Words, broken
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import readable_bytes
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward
from vlbench.record.site import Site

COLUMNS = (
    Column("device\nops", "device_operations"),
    Column("attn\ncalls", "attention_calls"),
    Column("host\nsyncs", "host_syncs"),
    Column("read-\nbacks", "read_backs"),
    Column("uploads\n(bytes)", "uploads"),
    Column("implicit\nuploads", "implicit_uploads"),
    Column("peak\nMB", "peak_live_bytes"),
)


def counted_sheet(report: CountReport, cold: bool, kernels: Iterable[str], *, where: bool = False) -> Sheet:
    """Every group's table, and what to know of it; `kernels` says how far operations stand for kernels."""
    judged = counted_whole(report)
    parts: list[Part] = []
    for group in report.groups:
        parts += [Words(title(report, group), "bold"), Words(), count_table(report, group, cold), Words()]
    towers = [tower for group in report.groups for tower in group.towers]
    parts += complaints(towers)
    which = "the first forward (caches are empty)" if cold else "the second forward (--cold shows the first)"
    parts.append(Words(f"Counted: {which}. An upload without its own line in the code is implicit."))
    parts += [Words(line) for line in kernels]
    parts += from_outside(towers, cold)
    parts += asked(towers)
    cost = f"No GPU was used: {report.seconds:.1f} s, {report.peak_host_bytes / 1e6:.0f} MB in all."
    parts.append(Words(cost, "dim"))
    for group in report.groups if where else ():
        for tower in group.towers:
            parts += [Words(), *_where(report, group, tower, cold)]
    return Sheet(
        "vlbench count", parts, judged, int(judged.exit_code), own={"json": lambda: report.model_dump_json(indent=1)}
    )


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
    said = [each.text.removeprefix(f"{tower.name}: ") for each in complaints([tower]) if each.style == "red"]
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
    rows: list[list[Cell | Value]] = []
    for tower in group.towers:
        forward = chosen(tower, cold)
        mark = "" if tower.complete else " (!)"
        figures = _cells(forward) if forward else [Cell("not counted", style="red"), *[""] * (len(COLUMNS) - 1)]
        rows.append([Cell(f"{_short(tower.name)}{mark}", tower.name), *figures])
    return Table("counts", [Column("variant", most=20), *COLUMNS], rows, facts=_facts(report, group), gap=1)


def chosen(tower: CountedTower, cold: bool) -> Forward | None:
    """The forward that is shown."""
    return tower.cold if cold else tower.warm


def complaints(towers: Iterable[CountedTower]) -> Iterator[Words]:
    """What was not counted, or cannot be trusted, by name."""
    for tower in towers:
        if tower.failed:
            yield Words(f"{tower.name}: not counted: {tower.failed}", "red")
        counts = tower.warm.counts if tower.warm else None
        for name, times in (counts.unknown if counts else {}).items():
            yield Words(
                f"{tower.name}: unknown operation {name}, {times} times, taken for one device operation each; say what "
                f'it is with vlbench.counting_device.declare("{name}")',
                "red",
            )
        for sentence in counts.not_measured if counts else ():
            yield Words(f"{tower.name}: not measured: {sentence}", "red")
        if tower.left_out:
            yield Words(f"{tower.name}: without {', '.join(tower.left_out)}, which mean nothing here", "dim")


def from_outside(towers: Iterable[CountedTower], cold: bool) -> Iterator[Words]:
    """Operators that are not torch's own, with how often each was called."""
    found: Multiset[str] = Multiset()
    for tower in towers:
        if forward := chosen(tower, cold):
            found.update({k: n for k, n in forward.counts.operations.items() if not k.startswith("aten::")})
    if found:
        listed = ", ".join(f"{name} ({times}x)" for name, times in found.most_common())
        yield Words(f"From outside torch, one operation each: {listed}.", "dim")


def asked(towers: Iterable[CountedTower]) -> Iterator[Words]:
    """What code asked about the GPU, and what it was told."""
    found: Multiset[tuple[str, str]] = Multiset()
    for tower in towers:
        for each in tower.questions:
            found[each.question, each.answer] += each.times
    if found:
        listed = ", ".join(f"{question} -> {answer} ({times}x)" for (question, answer), times in found.most_common())
        yield Words(f"Asked of the device, and answered: {listed}.", "dim")


def _facts(report: CountReport, group: CountGroup) -> dict[str, Value]:
    return {"scenario": group.scenario, "point": group.point, "dtype": report.dtype, "profile": report.profile}


def _short(name: str) -> str:
    """In its column: a factory without its package, which the lines below name whole."""
    package, colon, factory = name.rpartition(":")
    return broken(f"{package.rpartition('.')[2]}{colon}{factory}")


def _cells(forward: Forward) -> list[Cell | Value]:
    total, peak = forward.counts.total, forward.counts.peak_live_bytes
    uploads = f"{total.uploads:,} ({readable_bytes(total.upload_bytes)})" if total.uploads else "0"
    return [
        *(total.device_operations, total.attention_calls, total.host_syncs, total.read_backs),
        Cell(uploads, {"uploads": total.uploads, "upload_bytes": total.upload_bytes}),
        *(total.implicit_uploads, Cell(f"{peak / 1e6:,.0f}", peak)),
    ]


def _where(report: CountReport, group: CountGroup, tower: CountedTower, cold: bool) -> Iterator[Part]:
    """A tower's lines, the most frequent first, and how many waits each flag removes."""
    forward = chosen(tower, cold)
    if forward is None:
        return
    if not forward.sites:
        yield Words(f"{tower.name}: no line waits or copies", "bold")
        return
    yield Words(f"{tower.name}: {len(forward.sites)} lines wait or copy", "bold")
    columns = ["where", "event", "times", "bytes", "pinned", "blocking", "operation", "advice", "flags"]
    rows = [
        (
            *(str(each.where), each.event, each.times, each.bytes, each.pinned, each.blocking),
            *(each.operation, each.advice, " ".join(each.flags)),
        )
        for each in forward.sites
    ]
    lines = [line for site in forward.sites for line in _site(site)]
    yield Table("lines", columns, rows, facts={**_facts(report, group), "variant": tower.name}, lines=lines)
    if flags := _removable(forward.sites):
        listed = ", ".join(f"{flag} {times:,}" for flag, times in flags.items())
        yield Words(f"Waits that flags of ours remove from towers like this: {listed}.")


def _site(site: Site) -> Iterator[Words]:
    yield Words(f"{site.times:>6,}x {_what(site)}", cut=True)
    yield Words(f"{site.where.place} ({site.operation})".strip(), "dim", indent=8)
    yield Words(site.where.source, indent=8, cut=True)
    if site.advice:
        yield Words(f"-> {site.advice}{_flags(site)}", "green", indent=8)


def _what(site: Site) -> str:
    waits = "" if site.blocking else ", without waiting"
    memory = "" if site.event in ("read-back", "synchronize") else ", pinned" if site.pinned else ", pageable"
    size = "" if site.event == "synchronize" else f", {readable_bytes(site.bytes)}"
    return f"{site.event}{size}{memory}{waits}: {site.expression or site.operation}"


def _flags(site: Site) -> str:
    return f": {' or '.join(site.flags)}, {site.times:,} wait{'s' * (site.times > 1)}" if site.flags else ""


def _removable(sites: Iterable[Site]) -> dict[str, int]:
    """How many waits each flag removes, the most first."""
    found: dict[str, int] = {}
    for site in sites:
        for flag in site.flags:
            found[flag] = found.get(flag, 0) + site.times
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))
