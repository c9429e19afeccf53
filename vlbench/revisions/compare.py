"""BASE against HEAD: every tower counted, checked and timed, in the way that its package allows, as one report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.vote import VOTE_FALSE_ALARMS
from vlbench.matrix.plan import Plan
from vlbench.record.schema import CellGroup
from vlbench.revisions.checkouts import checked_out, repository
from vlbench.revisions.request import Asked, Pair, Way, way_of
from vlbench.trial.session import Watch

REMEDIES = {
    ExitCode.INACCURATE: "mend the result of HEAD; a time of a wrong one means nothing",
    ExitCode.MISSING: "mend what could not be measured, or name a tower and a scenario that both revisions have",
    ExitCode.REGRESSED: "mend what got worse, or say in the change why it is worth it",
    ExitCode.INCONCLUSIVE: "give it 5 trials, more --budget or a quieter machine, or let --allow-inconclusive pass it",
}


@dataclass(frozen=True)
class Compared:
    """The report, and every sample it rests on."""

    judged: Judged
    groups: tuple[CellGroup, ...]


def compare(
    base: str, head: str, asked: Asked, watch: Watch, say: Callable[[str], None], *, allow_inconclusive: bool = False
) -> Compared:
    """Compare two revisions of the repository in the current folder. `say` is told what is being done.

    Raises UsageError for a revision, tower or scenario that there is not.
    """
    start = time.perf_counter()
    ways = {tower: way_of(tower) for tower in asked.towers}
    with checked_out((base, head)) as (before, after):
        pair = Pair(before, after)
        with pair.naming():
            rows, groups = _measure(pair, asked, ways, watch, say)
    judged = Judged(
        command="ab",
        before=before.words,
        after=after.words,
        rows=tuple(row.model_copy(update={"reason": pair.plain(row.reason)}) for row in rows),
        notes=tuple(_notes(pair, asked, ways)),
        allow_inconclusive=allow_inconclusive,
        false_alarms=None if Way.LOCK_STEP in ways.values() else VOTE_FALSE_ALARMS,
        seconds=time.perf_counter() - start,
    )
    remedy = REMEDIES.get(judged.exit_code)
    return Compared(judged.model_copy(update={"remedy": remedy}), groups)


def _measure(
    pair: Pair, asked: Asked, ways: dict[str, Way], watch: Watch, say: Callable[[str], None]
) -> tuple[list[JudgedRow], tuple[CellGroup, ...]]:
    from vlbench.revisions.counters import count
    from vlbench.revisions.times import measure, plans_of, rows_of

    say("looking for the towers")
    plans = {tower: plans_of(pair, asked, tower) for tower in ways}
    counted: dict[str, list[JudgedRow]] = {}
    for tower in ways if asked.counters else ():
        say(f"counting {tower}")
        counted[tower] = count(pair, asked, tower)
    say("starting the first trial")
    share = asked.budget / sum(map(len, plans.values()))
    top = repository()
    rows: list[JudgedRow] = []
    groups: list[CellGroup] = []
    for tower, way in ways.items():
        found = measure(plans[tower], way, asked, share * len(plans[tower]), top, watch)
        for plan, group in zip(plans[tower], found, strict=True):
            rows += rows_of(group, _cell(tower, plan))
        rows += counted.get(tower, [])
        groups += (
            group.model_copy(update={"model": pair.plain(group.model), "lost": tuple(map(pair.plain, group.lost))})
            for group in found
        )
    return rows, tuple(groups)


def _cell(tower: str, plan: Plan) -> str:
    return " ".join(filter(None, (tower, plan.point.scenario, plan.point.label, plan.dtype, plan.device)))


def _notes(pair: Pair, asked: Asked, ways: dict[str, Way]) -> list[str]:
    from vlbench.revisions.evidence import sentence, shipped

    found = shipped()
    notes = [sentence(found, way, asked.device) for way in dict.fromkeys(ways.values())]
    if not asked.counters:
        notes.append("counters were left out, as --no-counters asks")
    if pair.base.tree == pair.head.tree:
        notes.append("BASE and HEAD are the same files: whatever differs is a false alarm")
    return notes
