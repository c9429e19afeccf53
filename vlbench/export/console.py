"""Results as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.gpu import gpu_table
from vlbench.export.ladder import ladder_tables
from vlbench.export.stages import stage_table
from vlbench.export.states import state_table
from vlbench.export.words import broken, milliseconds, speedup_with_interval
from vlbench.judging.evidence import expected_false_rows
from vlbench.judging.summary import Summary, ranked, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import percent
from vlbench.record.schema import CellGroup, Results

STYLES = {"faster": "green", "slower": "red", "unclear": "dim"}


def results_view(results: Results) -> RenderableType:
    """Every cell group, and what to expect of so many rows."""
    parts: list[RenderableType] = []
    for group in results.groups:
        parts += [Text(), group_view(group)]
    parts += [part for table in ladder_tables(results) for part in (Text(), table)]
    rows = sum(len(group.rows) - 1 for group in results.groups)
    if any(_is_voted(group) for group in results.groups) and rows >= 100:
        parts.append(Text(f"Of {rows} rows, {expected_false_rows(rows):.2g} are expected to be called by chance."))
    return Group(*parts)


def group_view(group: CellGroup) -> RenderableType:
    """Everything to show of one cell group."""
    found = summaries(group, Floors())
    voted = _is_voted(group)
    parts: list[RenderableType] = [Text(title(group), style="bold")]
    if group.trials:
        parts.append(Text(f"fed in: {group.trials[0].batch}", style="dim"))
    if group.why_scaled:
        parts.append(Text(group.why_scaled, style="dim"))
    shown = found if _has_references(group) else ranked(found)
    parts.append(Text())
    parts.append(verdict_table(shown) if voted else times_table(shown))
    parts += failures(shown)
    parts += [Text(f"lost: {reason}", style="red") for reason in group.lost]
    if words := in_words(shown, voted):
        parts += [Text(), Text(words)]
    if any(row.name.startswith("without ") for row in group.rows):
        parts.append(Text("A row without a flag is taken to the whole set: slower means that the flag helps."))
    for table in (cost_table(shown) if voted else None, gpu_table(shown), state_table(group), stage_table(shown)):
        if table is not None:
            parts += [Text(), table]
    return Group(*parts)


def title(group: CellGroup) -> str:
    """What was measured, in one line."""
    threads = f"{group.threads} thread{'s' * (group.threads > 1)}"
    where = f"{group.device}, {threads}" if group.device == "cpu" else group.device
    point = f" [{group.point}]" if group.point else ""
    trials = sum(not trial.confirms for trial in group.trials)
    several = f", {trials} trials" if trials > 1 else ""
    return f"{group.scenario}{point}: {group.model}, {group.dtype}, {where}, {group.weights} weights{several}"


def times_table(found: Iterable[Summary]) -> Table:
    """A quick look: variant, exactness, error, median, speed-up with interval, counts."""
    table = _table("variant", "class")
    for heading in ("error", "ms", "speed-up [95 %]", "aten\nops", "SDPA"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(_name(each), _class(each), _error(each), _ms(each), _speedup(each), *_counts(each))
    return table


def verdict_table(found: Iterable[Summary]) -> Table:
    """Several trials: the verdict, and the smallest change that would have been seen."""
    table = _table("variant")
    for heading in ("error", "ms", "speed-up [95 %]"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    table.add_column("sees", justify="right", no_wrap=True)
    for each in found:
        verdict = "yardstick" if each.row.is_yardstick else str(each.judgement.verdict)
        sees = percent(each.judgement.visible) if each.judgement.visible is not None else "-"
        table.add_row(
            _name(each), _error(each), _ms(each), _speedup(each), Text(verdict, style=STYLES[each.effect]), sees
        )
    return table


def cost_table(found: Iterable[Summary]) -> Table:
    """What does not depend on luck: exactness and counts; and what is paid once."""
    table = _table("variant", "class")
    for heading in ("aten\nops", "SDPA", "first call ms", "pays back after"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        first = "-" if each.first_seconds is None else f"{each.first_seconds * 1e3:.1f}"
        calls = "-" if each.pays_back_after is None else f"{each.pays_back_after} calls"
        table.add_row(_name(each), _class(each), *_counts(each), first, calls)
    return table


def failures(found: Iterable[Summary]) -> Iterator[Text]:
    """A line for each variant without times: what is wrong, and where it is worst."""
    for each in found:
        if each.judgement.verdict is Verdict.INACCURATE:
            yield Text(f"{each.row.name}: FAIL: {each.judgement.reason}{_where(each)}", style="red")
        elif each.accuracy is None:
            yield Text(f"{each.row.name}: {each.judgement.reason}", style="red")


def in_words(found: Sequence[Summary], voted: bool) -> str:
    """What helps, what hurts, and what cannot be told."""
    groups: dict[str, list[str]] = {"faster": [], "slower": [], "same": [], "unclear": []}
    for each in found:
        if each.estimate is not None:
            same = each.judgement.verdict is Verdict.SAME
            speedup = "" if each.effect == "unclear" else f" {each.estimate.speedup:.2f}x"
            groups["same" if same else each.effect].append(f"{each.row.name}{speedup}")
    unclear = "Inconclusive" if voted else "Not told apart from the yardstick"
    words = {"faster": "Faster", "slower": "Slower", "same": "Same", "unclear": unclear}
    lines = [f"{words[effect]}: {', '.join(names)}." for effect, names in groups.items() if names]
    if not voted and lines:
        lines.append("One process is a quick look; --trials 5 gives verdicts.")
    return "\n".join(lines)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, max_width=20)
    return table


def _is_voted(group: CellGroup) -> bool:
    return len(group.trials) > 1


def _has_references(group: CellGroup) -> bool:
    """Is it an ablation in which rows are taken to one another? Then their order says something."""
    return any(row.reference != group.rows[0].name for row in group.rows)


def _name(each: Summary) -> str:
    return broken(each.row.name)


def _ms(each: Summary) -> str:
    return milliseconds(each.seconds)


def _counts(each: Summary) -> tuple[str, str]:
    counts = each.counts
    return (str(counts.operations), str(counts.attention_calls)) if counts else ("-", "-")


def _speedup(each: Summary) -> Text:
    if each.judgement.verdict is Verdict.INACCURATE:
        return Text("FAIL", style="bold red")
    if each.estimate is None:
        return Text("1" if each.row.is_yardstick and each.seconds else "not measured", style="dim")
    return Text(speedup_with_interval(each.estimate), style=STYLES[each.effect])


def _class(each: Summary) -> str:
    if each.row.is_yardstick:
        return "yardstick"
    return "reassoc." if each.row.exactness == "reassociated" else each.row.exactness


def _error(each: Summary) -> str:
    error = each.accuracy.fp32_error if each.accuracy else None
    if error is None or each.row.is_yardstick:
        return "-"
    return "0" if error == 0 else f"{error:.0e}"


def _where(each: Summary) -> str:
    token = each.accuracy.worst_token if each.accuracy else None
    if token is None:
        return ""
    place = f"item {token.item}, frame {token.frame}, row {token.row}, column {token.column}"
    return f"; worst token: {place} (error {token.error:.2g})"
