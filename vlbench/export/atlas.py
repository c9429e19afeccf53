"""An atlas as a sheet for a terminal, and as the table of its page."""

import re
from collections.abc import Iterator

from vlbench.export.sheet import Cell, Column, Columns, Part, Table, Words, table_of
from vlbench.judging.words import number_of
from vlbench.record.atlas import IMAGE, Atlas, AtlasCount, AtlasRow, AtlasWay

Line = tuple[AtlasRow, AtlasWay]
NO_FLAG = "-"
FEW = 3
"""Towers of which people are shown the lines that wait."""
RAISED = re.compile(r"[\w.]*(Error|Exception)\b")
"""How the reason of a way begins that a tower ended with an error."""


def atlas_parts(atlas: Atlas) -> Iterator[Part]:
    """A row for each way of each tower, the lines that wait, and what could not be counted or was left out."""
    towers = number_of(len(atlas.rows), "tower")
    yield Words(f"{atlas.title}: {towers} on {atlas.fed} patches, {atlas.dtype}, as {atlas.profile}", "bold")
    rows = [(row, way) for row in atlas.rows for way in row.counted]
    columns: Columns[Line] = {
        Column("tower"): lambda each: each[0].name,
        Column("grid\non", "grid", left=True): lambda each: each[1].grid,
        Column("pre-\npared", "prepared", left=True): lambda each: Cell(*_prepared(*each)),
        Column("waits"): lambda each: _count(each).waits,
        Column("up-\nloads", "uploads"): lambda each: _count(each).uploads + _count(each).implicit_uploads,
        Column("opera-\ntions", "operations"): lambda each: _count(each).operations,
        Column("attn", "attention_calls"): lambda each: _count(each).attention_calls,
        Column("plans"): lambda each: _count(each).plans,
        Column("removed by", left=True): lambda each: removes(_count(each), told=False),
    }
    yield table_of("atlas", rows, columns, gap=1, facts={"package": atlas.package, "version": atlas.version})
    if without := [row.name for row in atlas.rows if row.counted and not row.offered and row.ways[0].grid != IMAGE]:
        yield Words(f"To prepare what follows from the grids is not offered by {', '.join(without)}.", "dim")
    yield from _lines(atlas)
    failed = {row.name: row.failed or "it was counted in no way" for row in atlas.rows if not row.counted}
    failed |= {
        f"{row.name}, {way.name}": way.failed for row in atlas.rows for way in row.ways if row.counted and way.failed
    }
    for name, reason in failed.items():
        how = (
            "not counted: this form is refused by the tower" if "," in name and RAISED.match(reason) else "not counted"
        )
        yield Words(f"{name}: {how}: {reason}", "dim")
    for name, other in atlas.aliases.items():
        yield Words(f"{name}: the tower of {other}", "dim")


def _lines(atlas: Atlas) -> Iterator[Part]:
    """The lines that wait, for programs and, of a few towers, for people."""
    found = [(row, way, line) for row in atlas.rows for way in row.counted for line in _count((row, way)).lines]
    columns: Columns[tuple[AtlasRow, AtlasWay, object]] = {
        Column("tower"): lambda each: each[0].name,
        Column("grid", left=True): lambda each: each[1].name,
        Column("times"): lambda each: each[2].times,  # type: ignore[attr-defined]
        Column("line", left=True): lambda each: str(each[2].where),  # type: ignore[attr-defined]
    }
    if len(atlas.rows) <= FEW and found:
        for row, way, line in found:
            name = f"{row.name}, {way.name}" if len(atlas.rows) > 1 else way.name
            yield Words(f"{name}: {line.times:,}x {line.event} at {line.where}", indent=2)
            if line.advice:
                yield Words(f"-> {line.advice}", "dim", indent=5)
    elif found:
        yield Words(
            f"Lines of code that wait: name {FEW} towers at most with --only; --json and --csv have all.", "dim"
        )
        yield Table(
            "atlas lines", list(columns), [[write(each) for write in columns.values()] for each in found], lines=()
        )


def prepared(row: AtlasRow, way: AtlasWay) -> str:
    """Is what follows from the grids handed in?"""
    if way.grid == IMAGE:
        return "-"
    return "yes" if way.prepared else "no" if row.offered else "not offered"


def _prepared(row: AtlasRow, way: AtlasWay) -> tuple[str, str]:
    """In the width of a column, and for programs."""
    found = prepared(row, way)
    return found.removesuffix("t offered"), found


def removes(count: AtlasCount, *, told: bool = True) -> str:
    """The flags whose idea removes a wait, with how many if `told`; "-" where no link is known."""
    found: dict[str, int] = {}
    for line in count.lines:
        for flag in line.flags[:1]:
            found[flag] = found.get(flag, 0) + line.times
    if not told and found:
        return ", ".join(found)
    return ", ".join(f"{flag} {times:,}" for flag, times in found.items()) or NO_FLAG


def _count(each: Line) -> AtlasCount:
    assert each[1].count is not None
    return each[1].count


def page_table(atlas: Atlas) -> str:
    """All of it in Markdown, for docs/atlas.md."""
    head = (
        f"{atlas.title}, torch {atlas.torch}, counted as {atlas.profile} with cuDNN {atlas.cudnn}, {atlas.dtype}, "
        f"pictures of {atlas.fed} patches, or as many of the size that the config names: {len(atlas.rows)} towers."
    )
    rows = [
        "| tower | depth, config | grid on | prepared | waits | uploads | operations | attention | plans | lines "
        "| removed by |",
        "|---|---|---|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for row in atlas.rows:
        for way in row.counted:
            count = _count((row, way))
            cells = (
                f"`{row.name}`",
                f"{row.depth or '-'}, {row.released or 'default'}",
                way.grid,
                prepared(row, way),
                f"{count.waits:,}",
                f"{count.uploads + count.implicit_uploads:,}",
                f"{count.operations:,}",
                f"{count.attention_calls:,}, {row.attention}" if count.attention_calls else row.attention,
                f"{count.plans:,}",
                _cited(count),
                removes(count),
            )
            rows.append(f"| {' | '.join(cells)} |")
    counted = [row for row in atlas.rows if row.counted]
    failed = [f"- `{row.name}`, {way.name}: {way.failed}" for row in counted for way in row.ways if way.failed]
    failed += [f"- `{row.name}`: {row.failed}" for row in atlas.rows if not row.counted]
    left_out = [f"- `{name}`: {reason}" for name, reason in atlas.left_out.items()]
    aliases = [f"- `{name}` is the tower of `{other}`" for name, other in atlas.aliases.items()]
    parts = [head, "", *rows]
    for title, lines in {"Ways that do not run": failed, "Listed once": aliases, "Left out": left_out}.items():
        parts += ["", f"**{title}**", "", *lines] if lines else []
    return "\n".join(parts)


def _cited(count: AtlasCount) -> str:
    """Each line that waits, by its file without folders."""
    places: dict[str, int] = {}
    for line in count.lines:
        place = line.where.place.rpartition("/")[2] or "(no line)"
        places[place] = places.get(place, 0) + line.times
    return ", ".join(f"{place} ({times:,}x)" if times > 1 else place for place, times in places.items()) or "-"
