"""Whether the counted towers of baselines are still right: asked before a word is said of their counters.

Ours run at the smallest size of their family against the reference tower. Anyone's run at their own width against the
sketches that the baseline keeps of their outputs, and so does the reference tower itself. All of it on a CPU, in
processes that never hold what they are compared with.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from vlbench.comparing.counted_cells import CountResult
from vlbench.counting.run import Steps
from vlbench.errors import UsageError
from vlbench.gating.recount import count_again
from vlbench.gating.work import apart
from vlbench.implementations.config import MODELS
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.child import waiting_threads
from vlbench.record.baseline import Baseline, CountedCell
from vlbench.record.grouping import gathered
from vlbench.record.outputs import StoredOutputs
from vlbench.record.schema import REFERENCE, Dtype
from vlbench.record.work import Work
from vlbench.towers.models import smallest_of
from vlbench.towers.resolve import config_of
from vlbench.trial.checks import Outcome, OwnCheck, check_own, run_checks

if TYPE_CHECKING:
    from vlbench.towers.variants import Variant
    from vlbench.trial.job import Checked

TIMEOUT = 600.0
DTYPE: Dtype = "bfloat16"
"""In which ours are checked beside fp32."""
BATCH = "equal images"
"""Beside the awkward batches that every check has."""

Outcomes = Mapping[str, Outcome]
"""By tower."""


def count_and_check(
    baselines: Sequence[Baseline], base: str | None = None, steps: Steps = lambda done, of: None
) -> tuple[list[dict[str, CountResult]], list[Outcomes]]:
    """The counted cells of each baseline by name, and what became of each of its towers; `steps` is told of cells."""
    with waiting_threads(1) as pool:
        checked = pool.submit(check_towers, baselines, base)
        counted = count_again(baselines, steps)
        return counted, list(map(_with_work, baselines, counted, checked.result()))


def _with_work(baseline: Baseline, counted: Mapping[str, CountResult], outcomes: Outcomes) -> Outcomes:
    """The outcomes, with what a tower does otherwise on the device: its result was seen on a CPU alone."""
    found = dict(outcomes)
    for cell in baseline.counted:
        outcome, there = found.get(cell.tower), counted[cell.name].work
        if not (outcome and outcome.kind == "right" and outcome.work and there and cell.dtype == outcome.dtype):
            continue
        found[cell.tower] = seen_elsewhere(outcome, there, "mend it, or save the cell again with --unchecked REASON")
    return found


def seen_elsewhere(outcome: Outcome, there: Work, remedy: str) -> Outcome:
    """The outcome on a CPU with what the work on the device, `there`, is otherwise; unknown where that leaves out."""
    if not (odd := apart(outcome.work, there)):
        return outcome
    if odd.left_out:
        told = f"{odd.words}, with nothing in its place, so the result was not checked; {remedy}"
        return Outcome(kind="unknown", reason=told)
    return outcome.model_copy(update={"elsewhere": odd.words})


def check_towers(baselines: Sequence[Baseline], base: str | None = None) -> list[Outcomes]:
    """Every counted tower of each baseline but those that it leaves unchecked, each once.

    `base` is a folder with another revision, which hands its weights over where those of a tower changed.
    """
    wanted = [_wanted(each) for each in baselines]
    towers = dict.fromkeys(tower for each in wanted for tower in each)
    dtypes = {cell.tower: cell.dtype for each in baselines for cell in each.counted}
    ours = [tower for tower in towers if config_of(tower) is not None and tower not in MODELS]
    own = {(tower, stored) for each in wanted for tower, stored in each.items() if tower not in ours}
    by_model = gathered((narrow(tower), tower) for tower in ours)
    with waiting_threads(os.cpu_count()) as pool:
        against_reference = [pool.submit(_check_ours, model, group) for model, group in by_model.items()]
        against_stored: dict[tuple[str, StoredOutputs | None], Future[Outcome]] = {
            key: pool.submit(_check_own, *key, base, dtypes[key[0]]) for key in own
        }
        found = {tower: outcome for each in against_reference for tower, outcome in each.result().items()}
        stored = {key: each.result() for key, each in against_stored.items()}
    return [
        {tower: found[tower] if tower in found else stored[tower, outputs] for tower, outputs in each.items()}
        for each in wanted
    ]


def outputs_of(towers: Iterable[str]) -> dict[str, Outcome]:
    """The outputs of towers that have to be stored, by tower."""
    wanted = [tower for tower in dict.fromkeys(towers) if config_of(tower) is None or tower in MODELS]
    with waiting_threads(os.cpu_count()) as pool:
        return dict(
            zip(wanted, pool.map(lambda tower: _check_own(tower, None, None, saving=True), wanted), strict=True)
        )


def checked_rows(baseline: Baseline, counters: Sequence[JudgedRow], outcomes: Outcomes) -> list[JudgedRow]:
    """Accuracy first; no counter of a wrong tower, and no praise of one that was not checked.

    `counters` are the rows of its counted cells, in order.
    """
    rows = [_accuracy_row(tower, outcome) for tower, outcome in outcomes.items()]
    pairs = zip(baseline.counted, counters, strict=True)
    return rows + [each for cell, row in pairs for each in _weighed(row, outcomes.get(cell.tower))]


def rows_of_cell(cell: CountedCell, row: JudgedRow, outcomes: Outcomes) -> list[JudgedRow]:
    """The same of one cell whose counters have this row."""
    outcome = outcomes.get(cell.tower)
    return [*([_accuracy_row(cell.tower, outcome)] if outcome else []), *_weighed(row, outcome)]


def wrong_towers(outcomes: Outcomes) -> set[str]:
    """Those whose figures nobody may accept."""
    return {tower for tower, outcome in outcomes.items() if outcome.kind == "wrong"}


def unchecked_notes(baseline: Baseline) -> list[str]:
    """That towers are not checked, and why."""
    return [
        f"{baseline.name}: the result of {tower} is not checked: {why}" for tower, why in baseline.unchecked.items()
    ]


def _wanted(baseline: Baseline) -> dict[str, StoredOutputs | None]:
    stored = {each.tower: each for each in baseline.outputs}
    towers = dict.fromkeys(cell.tower for cell in baseline.counted)
    return {tower: stored.get(tower) for tower in towers if tower not in baseline.unchecked}


def _accuracy_row(tower: str, outcome: Outcome) -> JudgedRow:
    verdict = {"right": Verdict.SAME, "wrong": Verdict.INACCURATE, "unknown": Verdict.MISSING}[outcome.kind]
    reason = "; ".join(filter(None, (outcome.reason, outcome.elsewhere, outcome.moved)))
    return JudgedRow(cell=tower_title(tower), measure="accuracy", verdict=verdict, reason=reason)


def tower_title(tower: str) -> str:
    """The cell of the row on its accuracy."""
    return f"{tower} on a CPU"


def _weighed(row: JudgedRow, outcome: Outcome | None) -> list[JudgedRow]:
    if outcome and outcome.kind == "wrong":
        return []
    is_right = outcome is not None and outcome.kind == "right"
    why = (outcome.elsewhere or outcome.moved) if outcome and is_right else "nobody knows whether the result is right"
    if row.verdict is not Verdict.IMPROVED or not why:
        return [row]
    reason = f"{row.reason}; fewer, and not better, since {why}"
    return [row.model_copy(update={"verdict": Verdict.FEWER, "reason": reason})]


def narrow(tower: str) -> str:
    """The smallest model of the family that a tower of ours is of."""
    config = config_of(tower)
    assert config is not None
    return smallest_of(config.family)


def _check_ours(model: str, towers: Sequence[str]) -> dict[str, Outcome]:
    from vlbench.process.child import ChildError
    from vlbench.trial.job import Checked, Job, VariantJob
    from vlbench.workload.library import batch_point

    found: dict[str, Outcome] = {}
    variants: dict[str, Variant] = {}
    for tower in towers:
        try:
            variants[tower] = _variant(tower, model)
        except UsageError as error:
            found[tower] = Outcome(kind="unknown", reason=f"it cannot run on a CPU: {error}")
    reference = VariantJob(name=REFERENCE, flags=None, exactness="bit-exact")
    jobs = (reference, *(VariantJob.model_validate(each, from_attributes=True) for each in variants.values()))
    job = Job(
        model=model, dtype=DTYPE, device="cpu", threads=1, seed=0, point=batch_point(BATCH), variants=jobs, seconds=0
    )
    try:
        for event in run_checks(job, TIMEOUT) if variants else ():
            if isinstance(event, Checked) and event.variant in variants:
                found[event.variant] = _outcome(event, variants[event.variant], model)
    except (UsageError, ChildError) as error:
        missing = Outcome(kind="unknown", reason=f"its check did not end: {error}")
        found |= dict.fromkeys(variants.keys() - found.keys(), missing)
    return found


def _variant(tower: str, model: str) -> Variant:
    from vlbench.towers.variants import parse_variant, tower_variant

    head, colon, _ = tower.partition(":")
    if colon:
        return tower_variant(f"{head}:{model}", name=tower)
    return replace(parse_variant(tower.partition("+")[2], MODELS[model], "cpu"), name=tower)


def _outcome(checked: Checked, variant: Variant, model: str) -> Outcome:
    accuracy = checked.accuracy
    if checked.raised:
        return Outcome(kind="unknown", reason=f"as {model} it gives no result: {accuracy.reason}")
    if not accuracy.passed:
        return Outcome(kind="wrong", reason=f"as {model}: {accuracy.reason}")
    without = f"; without {', '.join(variant.left_out)}, which no CPU has" if variant.left_out else ""
    told = f"as {model}: error {accuracy.fp32_error:.2g} in fp32, at most {accuracy.fp32_limit:.0e}{without}"
    work = checked.work if _is_alike_on_a_gpu(variant, model) else ()
    bounded = math.isfinite(accuracy.fp32_limit)
    moved = "" if bounded else "it is of the class result-changing, which bounds no error"
    return Outcome(kind="right", reason=told, work=work, dtype=DTYPE, moved=moved)


def _is_alike_on_a_gpu(variant: Variant, model: str) -> bool:
    """Does the name stand for the same flags there? A preset may have others, and some no CPU has."""
    from vlbench.towers.variants import parse_variant

    if variant.tower or variant.left_out:
        return not variant.left_out
    try:
        return parse_variant(variant.name.partition("+")[2], MODELS[model], "cuda").flags == variant.flags
    except UsageError:
        return False


def _check_own(
    tower: str, stored: StoredOutputs | None, base: str | None, dtype: str = DTYPE, *, saving: bool = False
) -> Outcome:
    if stored is None and not saving:
        reason = "the baseline holds none of its outputs; store them with `vlbench baseline complete`"
        return Outcome(kind="unknown", reason=reason)
    name = narrow(tower) if tower in MODELS else tower
    at = f"at:{base}:{tower}" if base and tower not in MODELS else None
    check = OwnCheck(tower=name, stored=stored, base=at, dtype=dtype, threads=os.cpu_count() or 1, timeout=TIMEOUT)
    outcome = check_own(check, TIMEOUT)
    if outcome.outputs is not None:
        outcome = outcome.model_copy(update={"outputs": outcome.outputs.model_copy(update={"tower": tower})})
    return outcome
