"""A self-test as a sheet, and as a page of the documentation."""

from collections.abc import Callable, Sequence

from vlbench.export.sheet import Cell, Part, Row, Sheet, Table, Words, checked, figure, shown_rows
from vlbench.judging.exit_codes import FAILURES
from vlbench.judging.identical import upper_bound
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import change, number_of, percent
from vlbench.record.schema import Results
from vlbench.selftest.other_rules import Score
from vlbench.selftest.verdicts import DETECTED, GOAL_POWER, GOAL_SLOW_DOWN, Report, Tally

CALLED = {
    "slower": Verdict.REGRESSED,
    "faster": Verdict.IMPROVED,
    "inconclusive": Verdict.INCONCLUSIVE,
    "same": Verdict.SAME,
}


def self_test_sheet(found: Report, scored: Sequence[Score], where: str = "", **own: Callable[[], str]) -> Sheet:
    """The table and what it proves on the machine `where`; `own` are the formats that have a text of their own."""
    parts: list[Part] = [Words(f"measured on {where}", "dim")] if where else []
    parts += [tally_table(found), Words(), *map(Words, sentences(found))]
    if scored:
        parts += [Words(), rule_table(scored)]
    return checked("vlbench self-test", parts, _judged(found), **own)


def tally_table(found: Report) -> Table:
    """A row per injected slow-down: what was called, and how often."""
    columns = ["injected", "rows", "measured", *CALLED, "rate [95 %]"]
    return Table("injected", columns, [_cells(tally) for tally in found.tallies], gap=1)


def rule_table(scored: Sequence[Score]) -> Table:
    """One row per rule: false alarms, then each slow-down caught."""
    shares = sorted({share for score in scored for share in score.cases})
    columns = ["rule", *("false alarms" if not share else f"+{100 * share:g} % caught" for share in shares)]
    rows: list[Row] = [[score.rule, *(_caught(score.rate(share)) for share in shares)] for score in scored]
    return Table("rules", columns, rows, gap=1)


def _judged(found: Report) -> Judged:
    """One verdict: was the goal reached?"""
    verdict = next((each for each, code in FAILURES.items() if code == found.exit_code), Verdict.SAME)
    row = JudgedRow(cell="the goal", measure="time", verdict=verdict, reason=" ".join(sentences(found)[-2:]))
    return Judged(command="self-test", before="what was injected", after="what was called", rows=(row,))


def sentences(found: Report) -> list[str]:
    """What the numbers prove, and what they do not."""
    same = found.identical
    if not same.cases:
        return ["Nothing was compared, so nothing is proven."]
    alarmed = found.groups_with_false_alarm
    bound = percent(upper_bound(alarmed, found.groups))
    lines = [
        f"False alarms: {same.hits} of {same.cases} comparisons of identical programs, a rate {_under(same)}. "
        f"The first vote called {found.first_vote_false_alarms}; suspects are measured again before they are called.",
        "Copies in one group share its rounds and its reference tower, so they are not independent. By groups, which "
        f"are: {alarmed} of {found.groups} with a false alarm, a rate under {bound}.",
    ]
    lines += [
        f"{shape}: {called} of {same_programs} identical programs called, {seen} of {slower} at "
        f"+{percent(GOAL_SLOW_DOWN)} caught."
        for shape, (called, same_programs, seen, slower) in found.shapes.items()
        if len(found.shapes) > 1
    ]
    caught = found.smallest_caught
    if caught is None:
        lines.append(f"Smallest change that is seen here: none of those injected was caught in {DETECTED:.0%}.")
    else:
        lines.append(
            f"Smallest change that is seen here: +{percent(caught)}, from which on at least {DETECTED:.0%} were caught."
        )
    if found.visible is not None:
        lines[-1] += f" The rows themselves say {percent(found.visible)} (median)."
    goal = f"no false alarm, and +{percent(GOAL_SLOW_DOWN)} caught in {GOAL_POWER:.0%}"
    lines.append(f"Goal ({goal}): {'met' if found.met else 'not met'}.")
    return lines


def markdown(results: Results, found: Report, scored: Sequence[Score]) -> str:
    """The page docs/self-test.md."""
    group = results.groups[0]
    trials = group.vote()
    rounds = len(trials[0].variants[0].timings["warm"].seconds) if trials and trials[0].variants[0].timings else 0
    paragraphs = [
        "# Self-test",
        "vlbench measures itself: copies of the reference tower, which are identical programs, and copies that "
        f"{'a busy loop or a pause on the stream' if group.device == 'cuda' else 'a busy loop'} slows down by a known "
        "share, all through the path that any measurement takes.",
        f"`{results.command}` on {results.created:%Y-%m-%d}: {results.fingerprint.line}.\n"
        f"{number_of(found.groups, 'group')} of {number_of(len(trials), 'trial')}, about {rounds} rounds each, "
        f"{group.model}, {group.dtype}, {number_of(group.threads, 'thread')}; "
        f"fed in: {trials[0].batch if trials else 'nothing'}.",
        _markdown_table(tally_table(found)),
        "*measured* is the median ratio to the reference tower; *rate* is the share called (of identical programs) or "
        "caught, with its Clopper-Pearson bounds at 95 %.",
        "\n".join(f"- {sentence}" for sentence in sentences(found)),
        "## The same samples under other rules",
        "The other tools compare a run before with a run after, so they are given the reference tower of one trial and "
        "the variant of the next, which is another process; asv two and two. Each trial takes its turn, so these "
        "shares rest on five comparisons a row. They see each call as a sample, except asv (10 means a process), "
        "google/benchmark (9) and criterion (at most 100). pytest-benchmark fails on slower alone, so half of its "
        "differences stay unseen. [The rules and their sources](../vlbench/selftest/other_rules.py).",
        _markdown_table(rule_table(scored)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _cells(tally: Tally) -> Row:
    injected = Cell(f"+{100 * tally.slow_down:g} %" if tally.slow_down else "nothing", tally.slow_down)
    counts = [tally.verdicts[verdict] for verdict in CALLED.values()]
    return [injected, tally.cases, figure(tally.measured, change), *counts, _rate(tally)]


def _rate(tally: Tally) -> Cell:
    if not tally.cases:
        return Cell("not measured", dict.fromkeys(("rate", "rate_low", "rate_high")))
    low, high = tally.bounds
    bounds = f"[{100 * low:.0f}, {100 * high:.0f}]" if tally.slow_down else _under(tally)
    return Cell(f"{_share(tally.rate)} {bounds}", {"rate": tally.rate, "rate_low": low, "rate_high": high})


def _under(tally: Tally) -> str:
    return f"under {percent(tally.bounds[1])}"


def _caught(rate: float | None) -> Cell:
    return Cell("not measured") if rate is None else figure(rate, _share)


def _share(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _markdown_table(table: Table) -> str:
    headings = [column.one_line for column in table.heads]
    rows = [headings, ["---", *("---:" for _ in headings[1:])], *shown_rows(table)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
