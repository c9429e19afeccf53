"""Where a tower waits and copies: each line, how often, and the flag that removes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from vlbench.export.counted import chosen
from vlbench.export.words import readable_bytes
from vlbench.record.counted import CountedTower, CountReport, Site


def where_view(report: CountReport, cold: bool) -> RenderableType:
    """Every row's lines, the most frequent first, and how many waits each flag removes."""
    parts: list[RenderableType] = []
    for group in report.groups:
        for tower in group.towers:
            parts += [Text(), *_lines_of(tower, cold)]
    return Group(*parts)


def _lines_of(tower: CountedTower, cold: bool) -> Iterator[RenderableType]:
    forward = chosen(tower, cold)
    if forward is None:
        return
    if not forward.sites:
        yield Text(f"{tower.name}: no line waits or copies", style="bold")
        return
    yield Text(f"{tower.name}: {len(forward.sites)} lines wait or copy", style="bold")
    for site in forward.sites:
        yield Text(f"{site.times:>6,}x {_what(site)}", overflow="ellipsis", no_wrap=True)
        file, number, source = _split(site.where)
        yield _indented(Text(f"{file}:{number} ({site.operation})", style="dim"))
        yield _indented(Text(source, overflow="ellipsis", no_wrap=True))
        if site.advice:
            yield _indented(Text(f"-> {site.advice}{_flags(site)}", style="green"))
    if flags := _removable(forward.sites):
        listed = ", ".join(f"{flag} {times:,}" for flag, times in flags.items())
        yield Text(f"Waits that flags of ours remove from towers like this: {listed}.")


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 8), expand=False)


def _what(site: Site) -> str:
    waits = "" if site.blocking else ", without waiting"
    memory = "" if site.event in ("read-back", "synchronize") else ", pinned" if site.pinned else ", pageable"
    size = "" if site.event == "synchronize" else f", {readable_bytes(site.bytes)}"
    return f"{site.event}{size}{memory}{waits}: {site.expression or site.operation}"


def _flags(site: Site) -> str:
    return f": {' or '.join(site.flags)}, {site.times:,} wait{'s' * (site.times > 1)}" if site.flags else ""


def _split(where: str) -> tuple[str, str, str]:
    file, _, rest = where.partition(":")
    number, _, source = rest.partition(": ")
    return file, number, source


def _removable(sites: Iterable[Site]) -> dict[str, int]:
    """How many waits each flag removes, the most first."""
    found: dict[str, int] = {}
    for site in sites:
        for flag in site.flags:
            found[flag] = found.get(flag, 0) + site.times
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))
