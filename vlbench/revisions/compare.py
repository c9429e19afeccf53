"""BASE against HEAD: every tower counted, checked and timed, in the way that its code allows, as one report.

How often each way calls identical revisions different was measured before, is shipped as a file, and said every time.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files

from pydantic import Field

from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.identical import Evidence, IdenticalRun, tally
from vlbench.judging.instances import told_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.vote import VOTE_FALSE_ALARMS
from vlbench.record.schema import CellGroup, Device
from vlbench.revisions.request import Request, Way
from vlbench.revisions.sides import Sides
from vlbench.trial.limits import end_of
from vlbench.trial.session import Watch

REMEDIES = {
    ExitCode.INACCURATE: "mend the result of HEAD; a time of a wrong one means nothing",
    ExitCode.MISSING: "mend what could not be measured, or name a tower and a scenario that both sides have",
    ExitCode.REGRESSED: "mend what got worse, or say in the change why it is worth it",
    ExitCode.INCONCLUSIVE: "give it 5 trials, more --budget or a quieter machine, or let --allow-inconclusive pass it",
}

_WAYS = {
    Way.ONE_PROCESS: "both {}s shared one process and its rounds",
    Way.LOCK_STEP: "each {} ran in a process of its own, in lock-step",
}
_DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}
SHIPPED = "measured/false-alarms.json"
PAIRS = "identical pairs"


class Run(IdenticalRun):
    """One comparison of a revision with itself."""

    way: Way


class FalseAlarms(Evidence):
    """What is shipped."""

    device: Device
    runs: tuple[Run, ...] = Field(description="In both ways.")


def shipped() -> FalseAlarms | None:
    """What this vlbench was measured to do; None where it never was."""
    file = files("vlbench.revisions").joinpath(SHIPPED)
    return FalseAlarms.model_validate_json(file.read_text()) if file.is_file() else None


def sentence(found: FalseAlarms | None, way: Way, device: Device, side: str) -> str:
    """How far a call in this way is to be trusted; each `side` is a "revision", say."""
    runs = [run for run in (found.runs if found else ()) if run.way is way and run.is_complete]
    told = _WAYS[way].format(side)
    if found is None or found.device != device or not runs:
        return f"{told}; how often that calls identical {side}s different is not measured on {_DEVICES[device]}"
    return f"{told}; {tally(runs, PAIRS)}, measured on {found.fingerprint.gpu or found.fingerprint.cpu}"


@dataclass(frozen=True)
class Compared:
    """The report, and every sample it rests on."""

    judged: Judged
    groups: tuple[CellGroup, ...]
    complete: bool
    """Was there time for every trial?"""
    pair: Sides


def compare(
    sides: AbstractContextManager[Sides],
    request: Request,
    watch: Watch,
    say: Callable[[str], None],
    *,
    allow_inconclusive: bool = False,
) -> Compared:
    """Compare two revisions of the repository in the current folder, or two environments, as `between` and `asked` give
    them. `say` is told what is being done.

    Raises UsageError for a side, tower or scenario that there is not.
    """
    start = time.monotonic()
    say("looking at both sides")
    with sides as pair:
        ways = {tower: pair.way(tower) for tower in request.towers}
        with pair.naming():
            rows, groups, said, complete = _measure(pair, request, ways, end_of(start, request.budget), watch, say)
    judged = Judged(
        command="ab",
        before=pair.base.words,
        after=pair.head.words,
        rows=tuple(row.model_copy(update={"reason": pair.plain(row.reason)}) for row in rows),
        notes=(*_notes(pair, request, ways), *dict.fromkeys(said)),
        allow_inconclusive=allow_inconclusive,
        false_alarms=None if Way.LOCK_STEP in ways.values() else VOTE_FALSE_ALARMS,
        seconds=time.monotonic() - start,
    )
    remedy = REMEDIES.get(judged.exit_code)
    return Compared(judged.model_copy(update={"remedy": remedy}), groups, complete, pair)


def _measure(
    pair: Sides, request: Request, ways: dict[str, Way], until: float, watch: Watch, say: Callable[[str], None]
) -> tuple[list[JudgedRow], tuple[CellGroup, ...], list[str], bool]:
    from vlbench.revisions.counters import count
    from vlbench.revisions.pairs import with_price
    from vlbench.revisions.times import cell_of, measure, plans_of, rows_of

    plans = {tower: plans_of(pair, request, tower) for tower in ways}
    counted: dict[str, list[JudgedRow]] = {}
    for tower in ways if request.counters else ():
        say(f"counting {tower}")
        counted[tower] = count(pair, request, tower)
    say("starting the first trial")
    top = pair.repository
    remaining = sum(map(len, plans.values()))
    rows: list[JudgedRow] = []
    groups: list[CellGroup] = []
    said: list[str] = []
    complete = True
    for tower, way in ways.items():
        begin, mine = time.monotonic(), len(plans[tower])
        share = begin + (until - begin) * mine / remaining
        found, was_complete = measure(plans[tower], way, request, share, top, watch, pair.pythons)
        complete, remaining = complete and was_complete, remaining - mine
        spent = time.monotonic() - begin
        for plan, group in zip(plans[tower], found, strict=True):
            judged = rows_of(group, cell_of(tower, plan))
            rows += [with_price(row, spent) for row in judged] if way is Way.LOCK_STEP else judged
            said += told_of(group)
        rows += counted.get(tower, [])
        groups += (
            group.model_copy(update={"model": pair.plain(group.model), "lost": tuple(map(pair.plain, group.lost))})
            for group in found
        )
    return rows, tuple(groups), said, complete


def _notes(pair: Sides, request: Request, ways: dict[str, Way]) -> list[str]:
    found = shipped()
    notes = [sentence(found, way, request.device, pair.what) for way in dict.fromkeys(ways.values())]
    if not request.counters:
        notes.append("counters were left out, as --no-counters asks")
    return [*notes, *pair.notes]
