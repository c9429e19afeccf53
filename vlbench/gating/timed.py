"""Times held against a baseline: measured again where the machine allows, judged by a vote against stored trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from vlbench.gating import Times
from vlbench.gating.changes import Cell
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import CALLED, Floors, Verdict
from vlbench.record.baseline import Baseline
from vlbench.record.fingerprint import Fingerprint, comparable

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import CellGroup
    from vlbench.trial.session import Session, Watch

TIMEOUT = 900.0
"""Seconds after which a trial is ended."""
SHORTEST = 1e-3
"""Seconds of rounds where times do not matter: the fewest rounds are run, and their outputs are checked."""


class GateResult(NamedTuple):
    """What a gate run says of one baseline."""

    rows: Sequence[JudgedRow]
    notes: Sequence[str]
    """What a reader has to know, one sentence each."""
    cells: Sequence[Cell] = ()
    """Cells as they were measured this time; times only where they changed."""

    @property
    def moved(self) -> bool:
        """Is there anything to accept?"""
        return any(row.gates and (row.verdict in (*CALLED, Verdict.FEWER) or row.new) for row in self.rows)


def here_for(baseline: Baseline) -> Fingerprint:
    """This machine, with its GPU where the times of `baseline` are a GPU's and there is one."""
    import torch

    from vlbench.trial.machine import fingerprint_of

    on_gpu = any(cell.device == "cuda" for cell in baseline.timed) and torch.cuda.is_available()
    return fingerprint_of("cuda" if on_gpu else "cpu")


def judge_timed(
    baseline: Baseline, here: Fingerprint, policy: Times = Times.AUTO, watch: Watch | None = None
) -> GateResult:
    """The timed cells of `baseline` on this machine, `here`, as `here_for` gives it.

    Each cell has a time row or, where its output is wrong, an accuracy row in its place; where times have no say in the
    exit code, it has both. On another class of machine than the baseline's the time rows are missing, and under
    `Times.AUTO` they gate only if the baseline holds nothing else to gate on. Cells that did not change are not handed
    back: a proposal keeps their trials, so that no acceptance moves them a little. `watch` sees the trials go on.
    """
    if not baseline.timed:
        return GateResult([], [])
    how_many = "1 timed cell" if len(baseline.timed) == 1 else f"{len(baseline.timed)} timed cells"
    if policy is Times.NEVER:
        return GateResult([], [f"{baseline.name}: {how_many} left out, as --times never asks"])
    differences = "; ".join(comparable(baseline.fingerprint, here))
    if not differences:
        return _measure(baseline, policy, watch)
    reason = f"timed on another class of machine, and times do not travel ({differences})"
    if policy is Times.REQUIRE:
        return GateResult([JudgedRow.missing(cell.name, "time", reason) for cell in baseline.timed], [])
    note = f"{baseline.name}: {how_many} not compared, for this is another class of machine ({differences})"
    return GateResult(list(_check_accuracy(baseline, reason, watch)), [note])


def _measure(baseline: Baseline, policy: Times, watch: Watch | None) -> GateResult:
    """The machine is of the baseline's class: everything is measured and judged."""
    from vlbench.comparing.timed_cells import cell_of
    from vlbench.comparing.timed_plans import rebuild, row_of, why_other
    from vlbench.comparing.timed_rows import accuracy_row, floors_of, judgement_of, time_row
    from vlbench.judging.instances import beside_odd

    gates = policy is not Times.ADVISORY
    floors = {cell.name: floors_of(cell, baseline.trials) for cell in baseline.timed}
    rebuilt = rebuild(baseline.timed)

    def suspects(index: int, group: CellGroup) -> list[str]:
        cells = rebuilt.cells[index]
        called = [cell for cell in cells if judgement_of(cell, group, floors[cell.name], first=True).verdict in CALLED]
        found = list(dict.fromkeys(cell.variant for cell in called))
        return found or beside_odd(group, Floors(), "warm")

    session = _session(rebuilt.plans, watch)
    session.vote(baseline.trials, baseline.budget, suspects)
    rows = [JudgedRow.missing(name, "time", reason) for name, reason in rebuilt.gone.items()]
    notes: list[str] = []
    changed: list[Cell] = []
    for cells, group in zip(rebuilt.cells, session.groups(), strict=True):
        notes += [f"{group.model} on {group.scenario}: lost {reason}" for reason in group.lost if group.trials]
        for cell in cells:
            if other := why_other(cell, group):
                rows.append(JudgedRow.missing(cell.name, "time", other))
                continue
            accuracy = accuracy_row(cell, group)
            if accuracy.verdict is Verdict.INACCURATE:
                rows.append(accuracy)
                continue
            time = time_row(cell, group, floors[cell.name], gates=gates)
            rows += [time] if gates else [without_praise(time), accuracy]
            now = cell_of(group, row_of(group, cell), cell.state, cell.scenario)
            if now and gates and time.verdict in CALLED:
                changed.append(now.model_copy(update={"floor": cell.floor, "threshold": cell.threshold}))
    return GateResult(rows, notes, tuple(changed))


def without_praise(row: JudgedRow) -> JudgedRow:
    """A time that has no say is never called better, for nobody would hold the next change to it."""
    if row.gates or row.verdict is not Verdict.IMPROVED:
        return row
    reason = f"times have no say here, so nothing is called better; {row.reason}"
    return row.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})


def _check_accuracy(baseline: Baseline, reason: str, watch: Watch | None) -> Iterator[JudgedRow]:
    """Another class of machine: accuracy alone can be judged, where there is the device to do so."""
    import torch

    from vlbench.comparing.timed_plans import rebuild, why_other
    from vlbench.comparing.timed_rows import accuracy_row

    rebuilt = rebuild(baseline.timed)
    here = [index for index, plan in enumerate(rebuilt.plans) if plan.device == "cpu" or torch.cuda.is_available()]
    session = _session([replace(rebuilt.plans[index], stages=False) for index in here], watch)
    session.run(1, SHORTEST)
    groups = zip(here, session.groups(), strict=True)
    checked = {cell.name: group for index, group in groups for cell in rebuilt.cells[index]}
    for cell in baseline.timed:
        group = checked.get(cell.name)
        if gone := rebuilt.gone.get(cell.name) or (group and why_other(cell, group)):
            yield JudgedRow.missing(cell.name, "time", gone)
            continue
        accuracy = accuracy_row(cell, group) if group else None
        if accuracy is None or accuracy.verdict is not Verdict.INACCURATE:
            gates = not (baseline.counted or baseline.captured)
            yield JudgedRow.missing(cell.name, "time", reason, gates=gates)
        if accuracy is not None:
            yield accuracy


def _session(plans: Sequence[Plan], watch: Watch | None) -> Session:
    """Trials of which no file is kept. A plan whose job is refused has no trials; the refusal is among its losses."""
    from vlbench.record.journal import Journal
    from vlbench.trial.limits import Limits
    from vlbench.trial.session import Session

    return Session(
        plans, Journal(None, ""), limits=Limits(TIMEOUT), watch=watch or (lambda progress: None), keep_going=True
    )
