"""Adds to a baseline what an earlier vlbench did not store; no figure changes."""

from pathlib import Path

from vlbench.comparing.counted import NEWER, why_not
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.acceptance import acceptance, seal
from vlbench.gating.changes import changes
from vlbench.gating.save import count_stored, store_outputs
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import read_baseline
from vlbench.record.counted import CHURN, NEWEST_CALL, Further


def complete(
    file: Path, reason: str, *, outputs: bool = False, unchecked: str | None = None, by: str | None = None
) -> Baseline:
    """Run the towers of `file` and add what it lacks; with `outputs`, put today's in place of those it has.

    Raises UsageError where it lacks nothing, IncomparableError where a tower cannot be run.
    """
    before = read_baseline(file)
    after = _completed(file, before, again=outputs, unchecked=unchecked)
    if not (told := changes(before, after)):
        raise UsageError(f"{file}: lacks nothing; there is nothing to complete")
    entry = acceptance("accepted", reason, before.fingerprint.torch, told, by)
    return seal(file, after, entry, before)


def _completed(file: Path, before: Baseline, *, again: bool, unchecked: str | None) -> Baseline:
    towers = dict.fromkeys(cell.tower for cell in before.counted)
    kept = {} if again else {each.tower: each for each in before.outputs}
    lacking = [tower for tower in towers if tower not in kept and tower not in before.unchecked]
    made, skipped = store_outputs(lacking, unchecked)
    without = [cell for cell in before.counted if _lacks(cell.further)]
    counted = count_stored(file, without)
    for cell in without:
        if reason := why_not(cell, counted[cell.name]):
            raise IncomparableError(f"{file}: {cell.name}: {reason}")
    cells = tuple(
        cell.model_copy(update={"further": _filled(cell.further, counted[cell.name].further)})
        if cell.name in counted
        else cell
        for cell in before.counted
    )
    stored = kept | {each.tower: each for each in made}
    reasons = {**before.unchecked, **skipped}
    update = {"counted": cells, "outputs": tuple(stored.values()), "unchecked": reasons, "seal": ""}
    return before.model_copy(update=update)


def _lacks(further: Further | None) -> bool:
    """Did an earlier vlbench count it, or not count it?"""
    if further is None or NEWEST_CALL not in {**further.calls, **further.failed}:
        return True
    return any(not counts.keys() >= NEWER for name, counts in further.calls.items() if name != CHURN)


def _filled(old: Further | None, new: Further | None) -> Further | None:
    """`old` with the calls and the counters that it lacks; what it holds stays."""
    if old is None or new is None:
        return old or new
    added = {name: counts for name, counts in new.calls.items() if name not in old.failed}
    calls = {name: {**counts, **old.calls.get(name, {})} for name, counts in {**old.calls, **added}.items()}
    failed = {name: why for name, why in new.failed.items() if name not in calls} | old.failed
    return old.model_copy(update={"calls": calls, "failed": failed, "allowed": new.allowed})
