"""Both revisions timed: plans for either way, the trials, and a row each about accuracy and time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.comparing.timed_rows import explained_row
from vlbench.implementations.optimized import Exactness
from vlbench.judging.judged import JudgedRow
from vlbench.judging.stages import stage_moves, stage_shares
from vlbench.judging.summary import Summary, summaries, suspects
from vlbench.judging.verdict import Floors, Verdict
from vlbench.matrix.plan import Plan
from vlbench.process.interpreter import NO_OTHERS, Interpreter
from vlbench.record.schema import CellGroup
from vlbench.revisions.clocks import Times
from vlbench.revisions.pairs import confirmed, go_on_in_sets
from vlbench.revisions.request import BASE, HEAD, Request, Way
from vlbench.revisions.sides import Sides
from vlbench.towers.from_folder import TowerInFolder, claim_of
from vlbench.towers.variants import Variant, reference_tower
from vlbench.trial.session import Session
from vlbench.workload.library import load_scenario

if TYPE_CHECKING:
    from vlbench.trial.session import Watch

FLOORS = Floors()


def plans_of(pair: Sides, request: Request, tower: str) -> list[Plan]:
    """One plan per point of the scenarios. Raises UsageError for a tower that a revision does not have."""
    base, head = pair.towers(tower)
    if isinstance(base, TowerInFolder) and isinstance(head, TowerInFolder) and pair.way(tower) is Way.ONE_PROCESS:
        model, variants, own_weights = tower.partition("+")[0], _beside_the_reference(request, base, head), "random"
    else:
        model, variants, own_weights = str(base), _in_its_place(request, str(base), str(head)), "its own"
    sources = {BASE: pair.base.words, HEAD: pair.head.words}
    variants = [replace(each, source=sources.get(each.name)) for each in variants]
    return [
        Plan(
            point,
            model,
            request.dtype,
            request.device,
            variants,
            seed=request.seed,
            threads=request.threads,
            own_weights=own_weights,
        )
        for name in request.scenarios
        for point in load_scenario(name).points(request.device)
    ]


def _beside_the_reference(request: Request, base: TowerInFolder, head: TowerInFolder) -> list[Variant]:
    """Both are checked against the reference tower; HEAD's ratio is taken to BASE."""
    claims = [Exactness(claim_of(at, request.device)) for at in (base, head)]
    return [
        reference_tower(),
        Variant(BASE, (), claims[0], tower=str(base)),
        Variant(HEAD, (), claims[1], tower=str(head), reference=BASE),
    ]


def _in_its_place(request: Request, base: str, head: str) -> list[Variant]:
    """BASE stands where the reference tower does: HEAD is checked against it."""
    return [
        Variant(BASE, None, tower=base, reference=BASE),
        Variant(HEAD, (), Exactness(request.exactness), tower=head, reference=BASE),
    ]


def measure(
    plans: Sequence[Plan],
    way: Way,
    request: Request,
    until: float,
    repository: Path | None,
    watch: Watch,
    pythons: Mapping[str, Interpreter] = NO_OTHERS,
    seen: list[tuple[Times, Times]] | None = None,
) -> tuple[list[CellGroup], bool]:
    """Trials of every plan, then as many again where HEAD was called changed, until then by `time.monotonic()`.

    Also says whether there was time for all of it. In lock-step there are pairs until they show the threshold, or until
    it is over. `pythons` are those of sides that another Python runs; `seen` is told the times of both sides of pairs
    that are apart.
    """
    from vlbench.record.journal import Journal
    from vlbench.revisions.isolated import run_apart
    from vlbench.revisions.lockstep import run_pair
    from vlbench.trial.limits import Limits
    from vlbench.trial.session import run_trial

    pair = partial(run_apart, seen=seen) if request.apart else partial(run_pair, pythons=pythons)
    run = run_trial if way is Way.ONE_PROCESS else partial(pair, repository=repository)
    limits = Limits(request.timeout, until, f"--budget {request.budget:g}s", "; give it more")
    session = Session(plans, Journal(None, ""), limits=limits, watch=watch, run=run, check_all=True)
    if way is Way.LOCK_STEP and request.trials >= FLOORS.k:
        go_on_in_sets(session, request.trials)
    else:
        session.vote(request.trials, until - time.monotonic(), _called if request.trials >= FLOORS.k else None)
    return session.groups(), session.is_complete


def _called(index: int, group: CellGroup) -> list[str]:
    """HEAD, where the first vote calls it changed."""
    return [name for name in suspects(group, FLOORS) if name == HEAD]


def cell_of(tower: str, plan: Plan) -> str:
    """What a report calls the measurement of a plan: the tower, what it is fed, the dtype and the device."""
    return " ".join(filter(None, (tower, plan.point.scenario, plan.point.label, plan.dtype, plan.device)))


def rows_of(group: CellGroup, cell: str) -> list[JudgedRow]:
    """Is HEAD right, and is it as fast as BASE? A time is shown only of what is right."""
    found = {each.row.name: each for each in summaries(group, FLOORS)}
    base, head = found[BASE], found[HEAD]
    accuracy = _accuracy_row(base, head, cell)
    if accuracy.verdict in (Verdict.INACCURATE, Verdict.MISSING):
        return [accuracy]
    return [accuracy, _time_row(group, base, head, cell)]


def _accuracy_row(base: Summary, head: Summary, cell: str) -> JudgedRow:
    """HEAD against the reference tower or, in lock-step, against BASE."""
    judge = "BASE" if base.row.is_reference else "the reference tower"
    if head.accuracy is None:
        verdict, reason = Verdict.MISSING, head.judgement.reason
    elif not head.accuracy.passed:
        verdict, reason = Verdict.INACCURATE, f"held against {judge}: {head.accuracy.reason}"
    elif base.accuracy is not None and not base.accuracy.passed:
        verdict, reason = Verdict.IMPROVED, f"right, where BASE is wrong: {base.accuracy.reason}"
    else:
        verdict, reason = Verdict.SAME, f"held against {judge}: right, by what {head.row.exactness} asks for"
        if judge != "BASE" and head.row.exactness != base.row.exactness:  # each revision says so of its own flags
            reason += f", where BASE claims to be {base.row.exactness}"
    return JudgedRow(cell=cell, measure="accuracy", verdict=verdict, reason=reason)


def _time_row(group: CellGroup, base: Summary, head: Summary, cell: str) -> JudgedRow:
    judgement = head.judgement
    if base.row.is_reference and judgement.verdict not in (Verdict.MISSING, Verdict.INACCURATE):
        judgement = confirmed(group)
    if judgement.verdict is Verdict.MISSING:
        wrong = base.accuracy is not None and not base.accuracy.passed
        reason = "BASE is wrong, so its time means nothing to compare with" if wrong else judgement.reason
        return JudgedRow.missing(cell, "time", reason)
    assert base.seconds is not None  # HEAD was compared with it
    before, after = (stage_shares(group.trials, name, BASE) for name in (BASE, HEAD))
    moves = stage_moves(before, after, base.seconds, FLOORS.relative, judgement.verdict)
    row = explained_row(cell, judgement, moves, before=base.seconds, after=head.seconds, unit="s")
    return row.model_copy(update={"paired": True})
