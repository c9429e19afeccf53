"""Checks anyone's tower against its stored outputs: `python -m vlbench.trial.own_check`.

The tower runs in the judged process; this one has what was stored, and compares.
"""

from contextlib import ExitStack
from itertools import islice, starmap
from pathlib import Path
from typing import Any

import torch

from vlbench.errors import UsageError
from vlbench.implementations.output import unpack
from vlbench.implementations.preprocessing import SEVERAL, Fed, Images, Preprocessing
from vlbench.process.parent import serve
from vlbench.process.scratch import Scratch
from vlbench.record.outputs import StoredCall, StoredOutputs, StoredPart
from vlbench.record.work import Work
from vlbench.trial.checks import Outcome, OwnCheck
from vlbench.trial.judged import Answer, Start
from vlbench.trial.remote import Remote
from vlbench.trial.rougher import rougher
from vlbench.trial.sketch import LIMITS, difference, is_empty, same_weights, sketch
from vlbench.trial.small_calls import REPEATED, small_calls


def outcome_of(check: OwnCheck) -> Outcome:
    """Run the tower and compare."""
    stored = check.stored
    made, work = _outputs(check.tower, check, leave=check.leave, handed=check.handed)
    if check.secret is not None and not isinstance(made, Outcome):
        return _patched(made, check).model_copy(update={"work": work, "dtype": check.dtype})
    if isinstance(made, Outcome) or stored is None:
        return made if isinstance(made, Outcome) else _fit_to_store(made)
    return _held_to(stored, made, check).model_copy(update={"work": work, "dtype": check.dtype})


def _patched(made: StoredOutputs, check: OwnCheck) -> Outcome:
    """The outputs as they are or, where there are those of a patched tower, how these compare with them."""
    if check.patched is None:
        return Outcome(kind="right", reason="stored", outputs=made)
    if check.stored and not same_weights(check.stored.weights, made.weights):
        return Outcome(kind="unknown", reason="it has other weights each time that it is built; draw them from a seed")
    guards = _fit_to_store(made)
    return _compared(made, check.patched, check.dtype) if guards.kind == "right" else guards


def _held_to(stored: StoredOutputs, made: StoredOutputs, check: OwnCheck) -> Outcome:
    if made.names == stored.names and same_weights(stored.weights, made.weights):
        return _compared(stored, made, check.dtype)
    if check.base is None:
        return Outcome(
            kind="unknown",
            reason="its weights are not those that its outputs were stored with, so the outputs do not compare; "
            "`--base REF` hands the weights of REF over",
        )
    with Scratch() as folder:
        weights = Path(folder) / "weights"
        before, _ = _outputs(check.base, check, leave=weights)
        if isinstance(before, Outcome):
            return Outcome(kind="unknown", reason=f"its weights differ, and BASE cannot be run: {before.reason}")
        after, _ = _outputs(check.tower, check, handed=weights)
        return after if isinstance(after, Outcome) else _compared(before, after, check.dtype)


def _outputs(
    tower: str, check: OwnCheck, *, leave: Path | None = None, handed: Path | None = None
) -> tuple[StoredOutputs | Outcome, Work]:
    """What the tower returns, or why there is nothing; and its work on a small call."""
    weights: dict[str, Any] = {"leave": leave, "handed": handed}
    calls: list[StoredCall] = []
    work: Work = ()
    with ExitStack() as ends:
        remote = ends.enter_context(
            Remote(lambda file: Start(tower=tower, threads=check.threads, exchange=file, **weights), check.timeout)
        )
        try:
            built, answer = remote.build()
        except UsageError as error:
            return Outcome(kind="unknown", reason=f"it cannot be built on a CPU: {error}"), ()
        dtype, fed = "float32", _fed(answer)
        several = [*fed.grids_of(SEVERAL)]
        for call in islice(small_calls(fed, check.secret), 1 if check.leave else None):
            try:
                if call.dtype != dtype:
                    built.to(call.dtype)
                    dtype = call.dtype
                parts = unpack(built(call.entry.pixels, call.entry.grid_thw))
            except UsageError as error:
                if remote.ended:
                    return Outcome(kind="unknown", reason=f"on {call.name}: {error}"), ()
                calls.append(StoredCall(name=call.name, raised=str(error)))
                continue
            calls.append(StoredCall(name=call.name, parts=tuple(starmap(_stored, parts.items()))))
            if not (check.leave or work) and call.dtype == check.dtype and call.entry.grids == several:
                work = built.work(fed, dtype, is_warm=True)
        if not (check.leave or work):
            built.to(check.dtype)
            work = built.work(fed, check.dtype)
    return StoredOutputs(tower=check.tower, names=answer.names, weights=answer.weights, calls=tuple(calls)), work


def _fed(answer: Answer) -> Fed:
    fields: dict[str, Any] = {  # JSON makes lists of tuples
        name: tuple(value) if isinstance(value, list) else value for name, value in (answer.fed or {}).items()
    }
    return Images(**fields) if fields.pop("input") == "images" else Preprocessing(**fields)


def _stored(name: str, part: torch.Tensor) -> StoredPart:
    form = f"{str(part.dtype).removeprefix('torch.')} {list(part.shape)}"
    return StoredPart(name=name, form=form, sketch=sketch(part))


def _fit_to_store(made: StoredOutputs) -> Outcome:
    """Outputs that would guard something. A call that it cannot take is left out."""
    if not any(call.parts for call in made.calls):
        return Outcome(kind="unknown", reason=f"on {made.calls[0].name}: {made.calls[0].raised}")
    for call in made.calls:
        for part in call.parts:
            if is_empty(part.sketch):
                reason = f"on {call.name} its {part.name} are zeros or not finite, which guards nothing"
                return Outcome(kind="unknown", reason=reason)
    first, again = (
        made.calls[number] for number in REPEATED["images" if "images" in made.calls[0].name else "patches"]
    )
    if first.parts and not again.parts:
        return Outcome(kind="unknown", reason=f"called again with the same it {again.raised}")
    if off := _off(first, again):
        return Outcome(kind="unknown", reason=f"called twice with the same it does not return the same: {off[1]}")
    return Outcome(kind="right", reason="stored", outputs=made)


def _compared(stored: StoredOutputs, now: StoredOutputs, dtype: str = "float32") -> Outcome:
    names = [call.name for call in now.calls]
    if [call.name for call in stored.calls] != names[: len(stored.calls)]:
        reason = "its outputs were stored on other calls; store them again with `vlbench baseline complete --outputs`"
        return Outcome(kind="unknown", reason=reason)
    pairs = list(zip(stored.calls, now.calls, strict=False))  # an earlier vlbench made fewer calls
    if found := [off for before, after in pairs if (off := _off(before, after))]:
        return Outcome(kind="wrong", reason=max(found)[1], outputs=now)
    runs = any(after.parts for _, after in pairs)  # else this machine may be the reason
    for before, after in pairs:
        if before.parts and not after.parts:
            return Outcome(kind="wrong" if runs else "unknown", reason=f"on {after.name}: {after.raised}")
    compared = sum(bool(call.parts) for call in stored.calls)
    told = f"its outputs on {compared} small calls are those that were accepted"
    if lacking := names[len(stored.calls) :]:
        told += f"; none are stored of {', '.join(lacking)}: `vlbench baseline complete --outputs` stores them"
    rough, moved = rougher(stored, now, dtype)
    return (
        Outcome(kind="wrong", reason=rough, outputs=now) if rough else Outcome(kind="right", reason=told, moved=moved)
    )


def _off(before: StoredCall, after: StoredCall) -> tuple[float, str] | None:
    """How far two outputs are apart and in which words, None where that is rounding or one of them is not there."""
    if not before.parts or not after.parts:
        return None
    names, now = ([part.name for part in each.parts] for each in (before, after))
    if names != now:
        return float("inf"), f"on {after.name} it returns the parts {', '.join(now)}"
    worst, limit = None, LIMITS[after.name.rpartition(" ")[2]]
    for old, new in zip(before.parts, after.parts, strict=True):
        if new.form != old.form:
            return float("inf"), f"on {after.name} its {new.name} are {new.form}, not {old.form}"
        error, row = difference(old.sketch, new.sketch)
        if not error <= limit and (worst is None or error > worst[0]):
            words = f"on {after.name} row {row} of its {new.name} is off by {error:.2g}, at most {limit:.0e}"
            worst = error, words
    return worst


if __name__ == "__main__":
    serve(lambda parent: parent.say(outcome_of(next(parent.hear(OwnCheck)))))
