"""How figures become the accepted ones: who takes them for right, what a gate run proposes, and what was edited."""

import getpass
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.changes import Cell, changes
from vlbench.gating.manifest import NAME, enlist, lists, read_manifest
from vlbench.process.git import committed, is_dirty, revision, user_name
from vlbench.record.baseline import Acceptance, Baseline, readable
from vlbench.record.baseline_files import (
    load_baseline,
    parse_baseline,
    proposal_path,
    read_baseline,
    why_unfit,
    write_baseline,
)
from vlbench.record.fingerprint import Fingerprint, comparable
from vlbench.record.locks import locked

KINDS = ("counted", "timed", "captured")
THRESHOLDS = {"bands", "floor", "threshold"}
"""Fields of a cell that people set: a proposal keeps them, and so does a file that is saved anew."""


def acceptance(
    what: Literal["saved", "accepted", "rebased"],
    reason: str,
    torch: str,
    changes: Sequence[str] = (),
    by: str | None = None,
) -> Acceptance:
    """The entry for now, of the checkout in the current folder. `by` is git's user, or the login, where it is None.

    Raises UsageError for a reason or a name that says nothing.
    """
    return Acceptance(
        what=what,
        by=named(by),
        reason=said("--reason", reason, "say why these figures are right"),
        date=datetime.now(UTC).replace(microsecond=0),
        revision=revision(),
        dirty=is_dirty(),
        torch=torch,
        changes=tuple(changes),
    )


def named(by: str | None) -> str:
    """`by`, else git's user, else the login. Raises UsageError for a name that says nothing."""
    return said("--by", by if by is not None else user_name() or _login(), "name who says so")


def said(option: str, text: str, remedy: str) -> str:
    """The text without blanks around it. Raises UsageError where nobody could read it."""
    if not (text := text.strip()):
        raise UsageError(f"{option} is empty; {remedy}")
    if not text.isprintable():
        raise UsageError(f"{option} {text!r:.60} holds control or invisible characters; {remedy} in one line")
    if not readable(text):
        raise UsageError(f"{option} {text!r:.60} holds no letter and no digit; {remedy} in words")
    return text


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        raise UsageError("nobody knows who you are here; say so with --by") from None


def seal(
    path: Path, baseline: Baseline, entry: Acceptance, before: Baseline | None = None, *, new: bool = False
) -> Baseline:
    """Write `baseline` to `path` with `entry` after the acceptances it has, list it, and return what is there.

    `before` is what it takes the place of; it takes nothing's where it is `new`. Raises IncomparableError where `path`
    holds something else by now.
    """
    sealed = baseline.model_copy(update={"accepted": (*baseline.accepted, entry)}).sealed()
    with locked(path.parent):
        if (new and path.exists()) or (before is not None and load_baseline(path) != before):
            raise IncomparableError(f"{path}: was changed while this went on; look at it, and do this again")
        read_manifest(path.parent)  # a damaged one is refused before anything is written
        write_baseline(sealed, path)
        enlist(path, sealed)
    return sealed


def propose(baseline: Baseline, measured: Iterable[Cell], here: Fingerprint) -> Baseline:
    """`baseline` with the figures of the cells that were measured again; nobody has accepted it yet.

    Cells that were not measured keep their figures, all keep their thresholds. The fingerprint becomes `here` unless
    times remain that were taken on another machine class.
    """
    now = {cell.name: cell for cell in measured}
    times_stay = any(cell.name not in now for cell in baseline.timed)
    fingerprint = baseline.fingerprint if times_stay and comparable(baseline.fingerprint, here) else here
    figures = {kind: tuple(now.get(cell.name, cell) for cell in getattr(baseline, kind)) for kind in KINDS}
    renewed = baseline.model_copy(update={**figures, "fingerprint": fingerprint, "seal": ""})
    return keep_thresholds(renewed, baseline)


def keep_thresholds(baseline: Baseline, before: Baseline) -> Baseline:
    """`baseline` with the thresholds that cells of the same names have in `before`."""

    def kept(kind: str) -> tuple[Cell, ...]:
        said = {
            each.name: {name: value for name, value in each if name in THRESHOLDS} for each in getattr(before, kind)
        }
        return tuple(each.model_copy(update=said.get(each.name)) for each in getattr(baseline, kind))

    return baseline.model_copy(update={kind: kept(kind) for kind in KINDS})


def accept(path: Path, reason: str, *, proposal: Path | None = None, by: str | None = None) -> Baseline:
    """Put the proposal in the place of `path`, or seal what was edited by hand in `path` itself; returns what is there.

    A proposal beside `path` is then gone; one that lies elsewhere stays.

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
    sealed = seal(path, after, entry, before)
    if given.absolute() == proposal_path(path).absolute():  # any other file is somebody's own
        given.unlink(missing_ok=True)
    return sealed


def _accept_edits(path: Path, reason: str, by: str | None) -> Baseline:
    edited = load_baseline(path)
    why = why_unfit(edited)
    if not why and lists(path, edited):
        raise UsageError(
            f"{path}: nothing to accept: it is as it was accepted, and there is no {proposal_path(path).name} beside "
            "it; `vlbench gate` proposes figures that moved"
        )
    if not edited.cells:
        raise IncomparableError(f"{path}: {why}; save cells in it")
    what = _edits(path, edited) if why else (f"listed in {NAME}",)
    return seal(path, edited, acceptance("accepted", reason, edited.fingerprint.torch, what, by), edited)


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
