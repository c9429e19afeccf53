"""Results as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.judge.paired import Estimate
from vlbench.judge.summary import Row, rows_of
from vlbench.record.schema import CellGroup, VariantResult

STAGE_COLUMNS = {
    "plan": ("plan", "window_order", "rope", "restore_order"),
    "patches": ("patch_embed",),
    "attention": ("attention",),
    "mlp": ("mlp",),
    "merger": ("merger",),
    "rest": ("forward",),
}
"""Column of the stage table -> the stages that it adds up."""

STYLES = {"faster": "green", "slower": "red", "unclear": "dim"}


def group_view(group: CellGroup) -> RenderableType:
    """Everything to show of one cell group."""
    rows = rows_of(group)
    parts: list[RenderableType] = [Text(title(group), style="bold"), Text(f"fed in: {group.batch}", style="dim")]
    if group.why_scaled:
        parts.append(Text(group.why_scaled, style="dim"))
    parts.append(times_table(rows))
    parts.extend(failures(rows))
    parts.append(Text(in_words(rows)))
    if any(row.variant.stages for row in rows):
        parts.append(stage_table(rows))
    return Group(*parts)


def title(group: CellGroup) -> str:
    threads = f"{group.threads} thread{'s' * (group.threads > 1)}"
    where = f"{group.device}, {threads}" if group.device == "cpu" else group.device
    point = f" [{group.point}]" if group.point else ""
    return f"{group.scenario}{point}: {group.model}, {group.dtype}, {where}, {group.weights} weights"


def times_table(rows: Iterable[Row]) -> Table:
    """Variant, exactness, error, median, speed-up with interval, counts."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("variant", max_width=20)
    table.add_column("class")
    for heading in ("error", "ms", "speed-up [95 %]", "ops", "SDPA"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        variant, counts = row.variant, row.variant.counts
        table.add_row(
            broken(variant.name),
            "yardstick" if variant.flags is None else _class(variant),
            _error(variant),
            "-" if row.median_ms is None else f"{row.median_ms:.2f}",
            _speedup(row),
            str(counts.operations) if counts else "-",
            str(counts.attention_calls) if counts else "-",
        )
    return table


def stage_table(rows: Iterable[Row]) -> Table:
    """Share of each stage in the forward, from extra rounds."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="share of the forward, self time, %")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    for heading in STAGE_COLUMNS:
        table.add_column(heading, justify="right")
    for row in rows:
        total = sum(row.variant.stages.values())
        if total:
            shares = (
                sum(row.variant.stages.get(name, 0.0) for name in names) / total for names in STAGE_COLUMNS.values()
            )
            table.add_row(broken(row.variant.name), *(f"{100 * share:.0f}" for share in shares))
    return table


def failures(rows: Iterable[Row]) -> Iterator[Text]:
    """A line for each variant without times: what is wrong, and where it is worst."""
    for row in rows:
        variant = row.variant
        if variant.not_measured and not (variant.accuracy and variant.accuracy.passed):
            yield Text(f"{variant.name}: FAIL: {variant.not_measured}{_where(variant)}", style="red")


def in_words(rows: Iterable[Row]) -> str:
    """What helps, what hurts, and what cannot be told."""
    found: dict[str, list[str]] = {"faster": [], "slower": [], "unclear": []}
    for row in rows:
        if row.estimate is not None:
            speedup = "" if row.effect == "unclear" else f" {row.estimate.speedup:.2f}x"
            found[row.effect].append(f"{row.variant.name}{speedup}")
    words = {"faster": "Faster", "slower": "Slower", "unclear": "Not told apart from the yardstick"}
    return "\n".join(f"{words[effect]}: {', '.join(names)}." for effect, names in found.items() if names)


def broken(name: str) -> str:
    """A long combination over several lines, so that it stays in its column."""
    return name if len(name) <= 20 else name.replace("+", "\n+")


def speedup_with_interval(estimate: Estimate) -> str:
    return f"{estimate.speedup:.2f} [{1 / estimate.high:.2f}, {1 / estimate.low:.2f}]"


def _speedup(row: Row) -> Text:
    variant = row.variant
    if variant.accuracy and not variant.accuracy.passed:
        return Text("FAIL", style="bold red")
    if row.estimate is None:
        return Text("1" if variant.flags is None and variant.seconds else "not measured", style="dim")
    return Text(speedup_with_interval(row.estimate), style=STYLES[row.effect])


def _class(variant: VariantResult) -> str:
    return {"reassociated": "reassoc."}.get(
        exactness := variant.accuracy.exactness if variant.accuracy else "-", exactness
    )


def _error(variant: VariantResult) -> str:
    error = variant.accuracy.fp32_error if variant.accuracy else None
    if error is None or variant.flags is None:
        return "-"
    return "0" if error == 0 else f"{error:.0e}"


def _where(variant: VariantResult) -> str:
    token = variant.accuracy.worst_token if variant.accuracy else None
    if token is None:
        return ""
    place = f"item {token.item}, frame {token.frame}, row {token.row}, column {token.column}"
    return f"; worst token: {place} (error {token.error:.2g})"
