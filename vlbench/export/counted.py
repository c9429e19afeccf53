"""Counts as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.words import broken, readable_bytes
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward

HEADINGS = ("device\nops", "attn\ncalls", "host\nsyncs", "read-\nbacks", "uploads\n(bytes)", "implicit\nuploads")


def counted_view(report: CountReport, cold: bool, kernels: Iterable[str]) -> RenderableType:
    """Every group's table, and what to know of it; `kernels` says how far operations stand for kernels."""
    parts: list[RenderableType] = []
    for group in report.groups:
        parts += [Text(title(report, group), style="bold"), Text(), count_table(group, cold), Text()]
    towers = [tower for group in report.groups for tower in group.towers]
    parts += complaints(towers)
    which = "the first forward (caches are empty)" if cold else "the second forward (--cold shows the first)"
    parts.append(Text(f"Counted: {which}. An upload without its own line in the code is implicit."))
    parts += [Text(line) for line in kernels]
    parts += from_outside(towers, cold)
    parts += asked(towers)
    parts.append(
        Text(f"No GPU was used: {report.seconds:.1f} s, {report.peak_host_bytes / 1e6:.0f} MB in all.", style="dim")
    )
    return Group(*parts)


def title(report: CountReport, group: CountGroup) -> str:
    """What was counted, in one line."""
    point = f" [{group.point}]" if group.point else ""
    patches = sum(t * h * w for t, h, w in group.grids)
    fed = "x".join(map(str, group.grids[0])) if len(group.grids) == 1 else f"{len(group.grids)} grids"
    return f"{group.scenario}{point}: {fed}, {patches:,} patches, {report.dtype}, as {report.profile}"


def count_table(group: CountGroup, cold: bool) -> Table:
    """A row per tower: operations, attention calls, syncs, copies, memory."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("\nvariant", max_width=20, overflow="fold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("peak\nMB", justify="right", no_wrap=True)
    for tower in group.towers:
        forward = chosen(tower, cold)
        cells = _cells(forward) if forward else [Text("not counted", style="red"), *[""] * len(HEADINGS)]
        mark = "" if tower.complete else " (!)"
        table.add_row(f"{_short(tower.name)}{mark}", *cells)
    return table


def _short(name: str) -> str:
    """In its column: a factory without its package, which the lines below name whole."""
    package, colon, factory = name.rpartition(":")
    return broken(f"{package.rpartition('.')[2]}{colon}{factory}")


def chosen(tower: CountedTower, cold: bool) -> Forward | None:
    """The forward that is shown."""
    return tower.cold if cold else tower.warm


def complaints(towers: Iterable[CountedTower]) -> Iterator[Text]:
    """What was not counted, or cannot be trusted, by name."""
    for tower in towers:
        if tower.failed:
            yield Text(f"{tower.name}: not counted: {tower.failed}", style="red")
        counts = tower.warm.counts if tower.warm else None
        for name, times in (counts.unknown if counts else {}).items():
            yield Text(
                f"{tower.name}: unknown operation {name}, {times} times, taken for one device operation each; say what "
                f'it is with vlbench.counting_device.declare("{name}")',
                style="red",
            )
        for sentence in counts.not_measured if counts else ():
            yield Text(f"{tower.name}: not measured: {sentence}", style="red")
        if tower.left_out:
            yield Text(f"{tower.name}: without {', '.join(tower.left_out)}, which mean nothing here", style="dim")


def from_outside(towers: Iterable[CountedTower], cold: bool) -> Iterator[Text]:
    """Operators that are not torch's own, with how often each was called."""
    found: Multiset[str] = Multiset()
    for tower in towers:
        if forward := chosen(tower, cold):
            found.update({k: n for k, n in forward.counts.operations.items() if not k.startswith("aten::")})
    if found:
        listed = ", ".join(f"{name} ({times}x)" for name, times in found.most_common())
        yield Text(f"From outside torch, one operation each: {listed}.", style="dim")


def asked(towers: Iterable[CountedTower]) -> Iterator[Text]:
    """What code asked about the GPU, and what it was told."""
    found: Multiset[tuple[str, str]] = Multiset()
    for tower in towers:
        for each in tower.questions:
            found[each.question, each.answer] += each.times
    if found:
        listed = ", ".join(f"{question} -> {answer} ({times}x)" for (question, answer), times in found.most_common())
        yield Text(f"Asked of the device, and answered: {listed}.", style="dim")


def _cells(forward: Forward) -> list[str]:
    total = forward.counts.total
    uploads = f"{total.uploads:,} ({readable_bytes(total.upload_bytes)})" if total.uploads else "0"
    numbers = [f"{n:,}" for n in (total.device_operations, total.attention_calls, total.host_syncs, total.read_backs)]
    return [*numbers, uploads, f"{total.implicit_uploads:,}", f"{forward.counts.peak_live_bytes / 1e6:,.0f}"]
