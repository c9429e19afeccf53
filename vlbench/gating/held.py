"""A baseline of the merge base beside the same file of the change: what is judged, and what the change may accept."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.comparing.captured import judge_captured, not_counted
from vlbench.gating.acceptance import KINDS, keep_thresholds
from vlbench.gating.changes import INSTANCES, SILENT, Cell, changes, loosened, shortened
from vlbench.gating.manifest import Removal
from vlbench.gating.timed import GateResult
from vlbench.judging.exit_codes import FAILURES
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import CALLED, NO_WORSE, Floors, Verdict
from vlbench.judging.words import few
from vlbench.record.baseline import Acceptance, Baseline, CapturedCell, CountedCell, TimedCell
from vlbench.record.counted import Further
from vlbench.record.outputs import StoredOutputs

SETTINGS = ("name", "trials", "budget", "unchecked", "outputs")
FREE = {"bands", "version", "notes"}
"""Fields of a capture that may move by themselves: bands are shown apart, and no count goes by the others."""


@dataclass(frozen=True)
class Held:
    """One file."""

    path: Path
    before: Baseline | None
    """Of the merge base; None where the change brings the file."""
    head: Baseline | None
    """Of the change; None where it took the file away."""
    base: str
    """The merge base in words."""
    accepts: bool = True
    """May the change accept figures?"""
    fault: str = ""
    """Why there is no `head`, where the file is there."""
    removal: Removal | None = None
    """Who took the file away, where the change says so."""

    @property
    def judged(self) -> Baseline:
        """What is measured: the cells of the merge base, and those that the change adds."""
        if self.before is None or self.head is None:
            (only,) = (each for each in (self.before, self.head) if each is not None)
            return only
        old = self._cells(self.before)
        known = {each.tower for each in self.before.outputs} | self.before.unchecked.keys()
        return self.before.model_copy(
            update={
                "outputs": (
                    *(self._accepted_outputs().get(each.tower, each) for each in self.before.outputs),
                    *(each for each in self.head.outputs if each.tower not in known),
                ),
                "unchecked": {
                    **{tower: why for tower, why in self.head.unchecked.items() if tower not in known},
                    **self.before.unchecked,
                },
            }
            | {
                kind: (
                    *getattr(self.before, kind),
                    *(each for each in getattr(self.head, kind) if each.name not in old),
                )
                for kind in KINDS
            }
        )

    @property
    def accepted(self) -> tuple[Acceptance, ...]:
        """What the change accepted; nothing, where it rewrote what was accepted before."""
        if self.head is None or self.before is None or self._rewritten:
            return ()
        return self.head.accepted[len(self.before.accepted) :]

    def _accepted_outputs(self) -> dict[str, StoredOutputs]:
        """Outputs by tower that the change stored anew and accepted: what it computes has to be just these."""
        if self.head is None or not self.accepts:
            return {}
        told = {line for entry in self.accepted for line in entry.changes}
        return {each.tower: each for each in self.head.outputs if f"outputs of {each.tower}: changed" in told}

    @property
    def is_removed(self) -> bool:
        """Did the change take the file away, and say who and why?"""
        return self.removal is not None and self.head is None and not self.fault

    def settle(self, found: GateResult) -> GateResult:
        """The rows of what was measured, with what the change accepted, took away, widened and allowed."""
        now = {cell.name: cell for cell in found.cells}
        if self.is_removed and self.accepts:
            return GateResult(list(self._gone()), found.notes)  # what is no longer held has nothing else to show
        rows = [*self._gone(), *self._settings(), *(self._settled(row, now) for row in found.rows)]
        rows += self._unasked(found.rows)
        if self._rewritten and not any(row.verdict in FAILURES for row in rows):
            reason = f"its acceptances are not those of {self.base} and more: take that back, and accept again"
            rows.append(JudgedRow.missing(str(self.path), "counters", reason))
        return GateResult(rows, found.notes, found.cells)

    @property
    def _rewritten(self) -> bool:
        if self.head is None or self.before is None:
            return False
        return self.head.accepted[: len(self.before.accepted)] != self.before.accepted

    @staticmethod
    def _cells(baseline: Baseline | None) -> dict[str, Cell]:
        return {cell.name: cell for cell in baseline.cells} if baseline else {}

    def _gone(self) -> Iterator[JudgedRow]:
        kept = self._cells(self.head)
        for name, cell in self._cells(self.before).items():
            if name not in kept:
                what = "does not hold it" if self.head else "is gone (renamed, moved or deleted?)"
                reason = self.fault or f"{self.base} holds it, and {self.path} {what}; bring it back"
                row = JudgedRow.missing(name, "time" if isinstance(cell, TimedCell) else "counters", reason)
                yield self._removed(row, self.removal) if self.removal and self.is_removed else row

    def _removed(self, row: JudgedRow, removal: Removal) -> JudgedRow:
        told = f"removed by {removal.by} on {removal.date:%Y-%m-%d}: {removal.reason}"
        if self.accepts:
            return row.model_copy(update={"verdict": Verdict.ACCEPTED, "reason": f"{told}; {self.base} holds it"})
        return row.model_copy(update={"reason": f"{told}, which --no-accept does not count; {self.base} holds it"})

    def _settings(self) -> Iterator[JudgedRow]:
        """What the change moved of that by which is judged, of times all but their figures; it does not count yet."""
        if self.before is None or self.head is None:
            return
        settings = {name: getattr(self.head, name) for name in (*SETTINGS, *["fingerprint"] * bool(self.before.timed))}
        moved, after = keep_thresholds(self.before.model_copy(update=settings), self.head), self._cells(self.head)
        figures = [(after.get(each.name, each), {name: getattr(each, name) for name in SILENT}) for each in moved.timed]
        moved = moved.model_copy(update={"timed": tuple(cell.model_copy(update=kept) for cell, kept in figures)})
        if told := "; ".join(changes(self.before, moved)):
            yield self._decided(JudgedRow.missing(str(self.path), "counters", f"{told}; judged as {self.base} has it"))

    def _unasked(self, rows: Sequence[JudgedRow]) -> Iterator[JudgedRow]:
        """Times that the change moved where none were asked for."""
        after = self._cells(self.head)
        for cell in self.before.timed if self.before else ():
            moved = cell.name in after and not _unmoved(cell, after[cell.name])
            if moved and not any(_names(row.cell, cell) for row in rows):
                yield self._unseen(JudgedRow.missing(cell.name, "time", "no time was asked for"))

    def _settled(self, row: JudgedRow, now: Mapping[str, Cell]) -> JudgedRow:
        found = next((cell for cell in self.judged.cells if _names(row.cell, cell)), None)
        if found is None or row.measure == "accuracy" or row.verdict is Verdict.INACCURATE:
            return row
        measured, before, head = (
            each.get(found.name) for each in (now, self._cells(self.before), self._cells(self.head))
        )
        if head is None:
            return row
        if before is None:
            return self._added(row, head, measured)
        if measured is not None and (added := _marks(measured) - _marks(before)):
            row = _allowing(row, added)
        if _unmoved(before, head):
            return row
        if not row.gates:
            return self._unseen(row)
        if measured is None and row.verdict in (Verdict.MISSING, Verdict.INCONCLUSIVE):
            return row if self._accepting else self._refused(row)
        if loose := [*loosened(before, head), *shortened(before, head)]:
            row = row.model_copy(update={"reason": f"no longer judged to the digit: {few(loose, 3)}; {row.reason}"})
            if unsaid := [each for each in loose if not self._is_said(head.name, each)]:
                reason = f"{row.reason}; {few(unsaid, 1)} is accepted by nobody by its name"
                return row.model_copy(update={"verdict": Verdict.MISSING, "reason": reason})
        lost = not _listed(before) & _listed(measured or before) <= _listed(head)  # what nobody measures is no loss
        if _alike(head, measured or before) and not lost:
            changed = loose or row.verdict in (*CALLED, Verdict.FEWER, Verdict.MISSING)
            return self._decided(row) if changed or not self._accepting else row
        what = f"no longer lists what {self.base} does" if lost else "holds figures that were not measured"
        reason = f"{self.path} {what}; take that back and run this again"
        if row.verdict in NO_WORSE:
            return row.model_copy(update={"verdict": Verdict.MISSING, "reason": f"{reason} ({row.reason})"})
        return row.model_copy(update={"reason": f"{row.reason}; {reason}"})

    def _unseen(self, row: JudgedRow) -> JudgedRow:
        """Times that the change moved and that have no say here, as on another class of machine."""
        reason = f"{self.path} holds other times, which were not judged here; {row.reason}"
        return self._decided(JudgedRow.missing(row.cell, "time", reason))

    def _is_said(self, cell: str, counter: str) -> bool:
        """Did the change accept that the counter varies, or that instances are fewer, as `changes` says it?"""
        now = r"\d" if counter.startswith(f"{INSTANCES} in ") else "(?:unsteady|mixed)"
        wanted = re.compile(rf"{re.escape(cell)}: (?:.*, )?{re.escape(counter)} [^>]+> {now}")
        return any(wanted.match(line) for entry in self.accepted for line in entry.changes)

    def _added(self, row: JudgedRow, head: Cell, measured: Cell | None) -> JudgedRow:
        """A cell that the merge base does not know must hold what was measured."""
        measured = measured or head
        if row.verdict in NO_WORSE and (not _alike(head, measured) or loosened(measured, head)):
            reason = f"{self.path} holds figures that were not measured; save or accept it again ({row.reason})"
            return row.model_copy(update={"verdict": Verdict.MISSING, "reason": reason})
        return row.model_copy(update={"reason": f"new, {self.base} does not hold it; {row.reason}"})

    @property
    def _accepting(self) -> bool:
        return bool(self.accepted) and self.accepts

    def _decided(self, row: JudgedRow) -> JudgedRow:
        """Accepted, where the change did that and may."""
        if not self._accepting:
            return self._refused(row)
        who = "; ".join(f"{each.what} by {each.by} on {each.date:%Y-%m-%d}: {each.reason}" for each in self.accepted)
        return row.model_copy(update={"verdict": Verdict.ACCEPTED, "reason": f"{who}; {row.reason}"})

    def _refused(self, row: JudgedRow) -> JudgedRow:
        """Figures that moved and that do not count: also where nothing got worse, for the next change starts there."""
        why = "accepted by the change, which --no-accept does not count" if self.accepted else "accepted by nobody"
        verdict = Verdict.MISSING if row.verdict in (*NO_WORSE, Verdict.INCONCLUSIVE) else row.verdict
        return row.model_copy(update={"verdict": verdict, "reason": f"{row.reason}; {why}"})


def _names(row: str, cell: Cell) -> bool:
    """Is the row that of the cell?"""
    title = f"capture {cell.name}"
    return row in (cell.name, title) or (isinstance(cell, CapturedCell) and row.startswith(f"{title}, "))


def _unmoved(before: Cell, head: Cell) -> bool:
    """Did the change leave the figures as they were? Times to the digit, else small steps add up."""
    if isinstance(before, TimedCell) and isinstance(head, TimedCell):
        return before.trials == head.trials
    if isinstance(before, CapturedCell):
        return before.model_dump(exclude=FREE) == head.model_dump(exclude=FREE)
    return _alike(before, head)


def _alike(one: Cell, other: Cell) -> bool:
    """Are the figures the same: exact counts, and times by their vote?"""
    if isinstance(one, CountedCell) and isinstance(other, CountedCell):
        pairs = ((one.cold, other.cold), (one.warm, other.warm))
        known = all(b.counters.get(name) == value for a, b in pairs for name, value in a.counters.items())
        known = known and _further_alike(one.further, other.further)
        return known and (one.key, one.grids, _marks(one)) == (other.key, other.grids, _marks(other))
    if isinstance(one, CapturedCell) and isinstance(other, CapturedCell):
        found = judge_captured(one.model_copy(update={"bands": {}}), other)
        return found.verdict is Verdict.SAME and not not_counted(other, one)
    if isinstance(one, TimedCell) and isinstance(other, TimedCell):
        from vlbench.comparing.timed_cells import stored_trials
        from vlbench.judging.stored import vote_against

        floors = Floors(relative=one.floor, threshold=one.threshold)
        voted = vote_against(stored_trials(one), stored_trials(other), floors).verdict
        return one.trials == other.trials or voted is Verdict.SAME
    return False


def _further_alike(one: Further | None, other: Further | None) -> bool:
    """Does `other` count in further calls what `one` does?"""
    if one is None:
        return True
    if other is None or other.kept_bytes != one.kept_bytes:
        return False
    return all(counts.items() <= other.calls.get(call, {}).items() for call, counts in one.calls.items())


def _listed(cell: Cell) -> set[tuple[str, str]]:
    """The counters of a cell with the forward or further call of each; of a capture its ranges, and calls beside."""
    if isinstance(cell, TimedCell):
        return set()
    if isinstance(cell, CapturedCell):  # a counter that fell to zero is not listed any more
        beside = () if cell.beside is None else ("", *cell.beside)
        return {(each.name, "") for each in cell.ranges} | {(name, "beside") for name in beside}
    calls = cell.further.calls if cell.further else {}
    counts = {"cold": cell.cold.counters, "warm": cell.warm.counters, **calls}
    return {(call, name) for call, counters in counts.items() for name in counters}


def _marks(cell: Cell) -> set[tuple[str | None, str, str]]:
    """The waits that the code allows: file, source and reason of each."""
    if not isinstance(cell, CountedCell):
        return set()
    sites = (*cell.cold.sites, *cell.warm.sites, *(cell.further.allowed if cell.further else ()))
    return {(site.where.file, site.where.source, site.allowed) for site in sites if site.allowed}


def _allowing(row: JudgedRow, added: set[tuple[str | None, str, str]]) -> JudgedRow:
    """The row of a cell whose code allows waits that the merge base did not."""
    if row.verdict not in NO_WORSE:
        return row
    waits = [f"{file or 'somewhere'}: {source} ({reason})" for file, source, reason in sorted(added, key=str)]
    told = f"a wait is allowed that was not: {few(waits, 1)}; {row.reason}"
    return row.model_copy(update={"verdict": Verdict.REGRESSED, "reason": told})
