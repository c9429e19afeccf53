"""The file that would make what a gate run found the new baseline, and how somebody accepts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.author import acceptance
from vlbench.gating.changes import changes
from vlbench.process.git import committed
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell, TimedCell
from vlbench.record.baseline_files import (
    load_baseline,
    parse_baseline,
    proposal_path,
    read_baseline,
    why_unfit,
    write_baseline,
)
from vlbench.record.fingerprint import Fingerprint, comparable


@dataclass(frozen=True)
class Again:
    """Cells of a baseline as they were found this time; what could not be measured is not among them."""

    counted: tuple[CountedCell, ...] = ()
    timed: tuple[TimedCell, ...] = ()
    captured: tuple[CapturedCell, ...] = ()


def propose(baseline: Baseline, again: Again, here: Fingerprint) -> Baseline:
    """`baseline` with the figures of the cells that were measured again; nobody has accepted it yet.

    Cells that were not measured keep their figures, all keep their thresholds. The fingerprint becomes `here` unless
    times remain that were taken on another machine class.
    """
    counted = {cell.name: cell for cell in again.counted}
    timed = {cell.name: cell for cell in again.timed}
    captured = {cell.name: cell for cell in again.captured}
    stays = baseline.timed and timed.keys() != {cell.name for cell in baseline.timed}
    return baseline.model_copy(
        update={
            "counted": tuple(
                counted.get(cell.name, cell).model_copy(update={"bands": cell.bands}) for cell in baseline.counted
            ),
            "timed": tuple(
                timed.get(cell.name, cell).model_copy(update={"floor": cell.floor, "threshold": cell.threshold})
                for cell in baseline.timed
            ),
            "captured": tuple(
                captured.get(cell.name, cell).model_copy(update={"bands": cell.bands}) for cell in baseline.captured
            ),
            "fingerprint": baseline.fingerprint if stays and comparable(baseline.fingerprint, here) else here,
            "seal": "",
        }
    )


def accept(path: Path, reason: str, *, proposal: Path | None = None, by: str | None = None) -> Baseline:
    """Put the proposal in the place of `path`, or seal what was edited by hand in `path` itself; returns what is there.

    Raises UsageError where there is nothing to accept, IncomparableError for a file that cannot be read or a proposal
    that was made for other figures than those in `path`.
    """
    given = proposal or proposal_path(path)
    if proposal is None and not given.exists():
        return _accept_edits(path, reason, by)
    if why_unfit(load_baseline(path)):
        raise IncomparableError(
            f"{path}: was edited by hand, and {given} is proposed for what it was: remove one of them"
        )
    before, after = read_baseline(path), load_baseline(given)
    if after.accepted != before.accepted or after.intact:
        raise IncomparableError(f"{given}: was not proposed for {path} as it is now; run `vlbench gate` again")
    entry = acceptance("accepted", reason, after.fingerprint.torch, changes(before, after), by)
    sealed = after.model_copy(update={"accepted": (*before.accepted, entry)}).sealed()
    write_baseline(sealed, path)
    given.unlink()
    return sealed


def _accept_edits(path: Path, reason: str, by: str | None) -> Baseline:
    edited = load_baseline(path)
    if not (why := why_unfit(edited)):
        raise UsageError(
            f"{path}: nothing to accept: it is as it was accepted, and there is no {proposal_path(path).name} beside "
            "it; `vlbench gate` proposes figures that moved"
        )
    if not edited.cells:
        raise IncomparableError(f"{path}: {why}; save cells in it")
    entry = acceptance("accepted", reason, edited.fingerprint.torch, _edits(path, edited), by)
    sealed = edited.model_copy(update={"accepted": (*edited.accepted, entry)}).sealed()
    write_baseline(sealed, path)
    return sealed


def _edits(path: Path, edited: Baseline) -> tuple[str, ...]:
    """What was edited since it was committed; where nobody can tell, that it was."""
    if not edited.accepted:
        return ()
    text = committed(path)
    if text is not None:
        try:
            return changes(parse_baseline(text, str(path)), edited) or ("edited by hand",)
        except UsageError:  # the commit holds something else
            pass
    return ("edited by hand",)
