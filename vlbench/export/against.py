"""Two results files beside each other: each variant's speed-up then and now."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.console import title
from vlbench.export.words import broken, speedup_with_interval
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors
from vlbench.record.fingerprint import comparable
from vlbench.record.schema import CellGroup, Results
from vlbench.stats.paired import Estimate


def against_view(earlier: Results, now: Results) -> RenderableType:
    """Speed-ups over the yardstick, then and now, for the groups that both hold.

    Ratios are compared, not times: the yardstick took part in both runs, so a slower machine cancels out.
    """
    before = {group.key: group for group in earlier.groups}
    parts: list[RenderableType] = []
    for group in now.groups:
        if group.key in before:
            parts += [Text(f"Against {earlier.created:%Y-%m-%d %H:%M}, {title(group)}", style="bold")]
            parts += [_table(before[group.key], group)]
            if _grids(before[group.key]) != _grids(group):
                parts.append(Text("The two runs were fed other grids: ratios may differ for that reason alone."))
    if differences := comparable(earlier.fingerprint, now.fingerprint):
        parts.append(Text(f"Ratios may differ for another reason alone: {'; '.join(differences)}."))
    return Group(*parts)


def _table(before: CellGroup, now: CellGroup) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("variant", max_width=20)
    for heading in ("then", "now", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    then = {each.row.name: each for each in summaries(before, Floors())[1:]}
    for each in summaries(now, Floors())[1:]:
        old = then.pop(each.row.name, None)
        earlier = old.estimate if old else None
        table.add_row(broken(each.row.name), _cell(earlier), _cell(each.estimate), _change(earlier, each.estimate))
    for name, old in then.items():
        table.add_row(broken(name), _cell(old.estimate), "-", "not in this run")
    return table


def _grids(group: CellGroup) -> object:
    return [trial.grids for trial in group.trials[:1]]


def _cell(estimate: Estimate | None) -> str:
    return speedup_with_interval(estimate) if estimate else "-"


def _change(then: Estimate | None, now: Estimate | None) -> str:
    """A change is named only where the intervals do not touch."""
    if then is None or now is None:
        return "not comparable"
    if then.low <= now.high and now.low <= then.high:
        return "none seen"
    return f"{then.ratio / now.ratio:.2f}x {'faster' if now.ratio < then.ratio else 'slower'}"
