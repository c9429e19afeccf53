"""Times held against a baseline: measured again where the machine allows, judged by a vote against stored trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vlbench.gating.policy import Times
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Baseline, TimedCell
from vlbench.record.fingerprint import Fingerprint, comparable, take_fingerprint

if TYPE_CHECKING:
    from vlbench.record.schema import CellGroup
    from vlbench.trial.session import Watch

Found = tuple[list[JudgedRow], list[str], tuple[TimedCell, ...]]
"""Rows, what a reader has to know in one sentence each, and the cells that changed as they are now."""


def here_for(baseline: Baseline) -> Fingerprint:
    """This machine, with its GPU where the times of `baseline` are a GPU's and there is one."""
    import torch

    on_gpu = any(cell.device == "cuda" for cell in baseline.timed) and torch.cuda.is_available()
    return take_fingerprint("cuda" if on_gpu else "cpu")


def judge_timed(baseline: Baseline, here: Fingerprint, policy: Times = Times.AUTO, watch: Watch | None = None) -> Found:
    """The timed cells of `baseline` on this machine, `here`, as `here_for` gives it.

    Each cell has a time row or, where its output is wrong, an accuracy row in its place; where times have no say in the
    exit code, it has both. On another class of machine than the baseline's the time rows are missing, and under
    `Times.AUTO` they gate only if the baseline holds nothing else to gate on. Cells that did not change are not handed
    back: a proposal keeps their trials, lest every acceptance moves them a little. `watch` sees the trials go on.
    """
    if not baseline.timed:
        return [], [], ()
    how_many = "1 timed cell" if len(baseline.timed) == 1 else f"{len(baseline.timed)} timed cells"
    if policy is Times.NEVER:
        return [], [f"{baseline.name}: {how_many} left out, as --times never asks"], ()
    differences = "; ".join(comparable(baseline.fingerprint, here))
    if not differences:
        return _here(baseline, policy, watch)
    reason = f"timed on another class of machine, and times do not travel ({differences})"
    if policy is Times.REQUIRE:
        return [JudgedRow.missing(cell.name, "time", reason) for cell in baseline.timed], [], ()
    note = f"{baseline.name}: {how_many} not compared, for this is another class of machine ({differences})"
    return list(_elsewhere(baseline, reason, watch)), [note], ()


def _here(baseline: Baseline, policy: Times, watch: Watch | None) -> Found:
    """The machine is of the baseline's class: everything is measured and judged."""
    from vlbench.comparing.timed_cells import cell_of
    from vlbench.comparing.timed_plans import rebuild, row_of, why_other
    from vlbench.comparing.timed_rows import CALLED, accuracy_row, floors_of, judgement_of, time_row
    from vlbench.gating.rerun import measure_again

    gates = policy is not Times.ADVISORY
    floors = {cell.name: floors_of(cell, baseline.trials) for cell in baseline.timed}
    rebuilt = rebuild(baseline.timed)
    rows = [JudgedRow.missing(name, "time", reason) for name, reason in rebuilt.gone.items()]

    def suspects(index: int, group: CellGroup) -> list[str]:
        cells = rebuilt.cells[index]
        called = [cell for cell in cells if judgement_of(cell, group, floors[cell.name]).verdict in CALLED]
        return list(dict.fromkeys(cell.variant for cell in called))

    groups = measure_again(rebuilt.plans, baseline.trials, baseline.budget, suspects, watch)
    notes, again = [], []
    for cells, group in zip(rebuilt.cells, groups, strict=True):
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
            rows += [time] if gates else [time, accuracy]
            now = cell_of(group, row_of(group, cell), cell.state, cell.scenario)
            if now and time.verdict in CALLED:
                again.append(now.model_copy(update={"floor": cell.floor, "threshold": cell.threshold}))
    return rows, notes, tuple(again)


def _elsewhere(baseline: Baseline, reason: str, watch: Watch | None) -> Iterator[JudgedRow]:
    """Another class of machine: accuracy alone can be judged, where there is the device to do so."""
    import torch

    from vlbench.comparing.timed_plans import rebuild, why_other
    from vlbench.comparing.timed_rows import accuracy_row
    from vlbench.gating.rerun import check_again

    rebuilt = rebuild(baseline.timed)
    here = [index for index, plan in enumerate(rebuilt.plans) if plan.device == "cpu" or torch.cuda.is_available()]
    groups = check_again([rebuilt.plans[index] for index in here], watch)
    checked = {cell.name: group for index, group in zip(here, groups, strict=True) for cell in rebuilt.cells[index]}
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
