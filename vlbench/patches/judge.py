"""The judge of a patch. Its code is run first, ends, and only then is there anything to compare its outputs with.

BASE is built, and leaves its weights. The patched tower is called with them on contents and grids that were drawn after
the patch was read; its outputs are kept, and its process ends. Then BASE's files are written anew, BASE is called on
the same, and the outputs are compared. Counters follow from processes of their own, and times only where asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Any

from vlbench.comparing.counted_cells import CountResult
from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.gating.accuracy import narrow, rows_of_cell, seen_elsewhere
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of
from vlbench.patches.judged import PatchJudged, gain_of, reason_of, reward_of, with_times
from vlbench.patches.reading import check_changes, check_patch
from vlbench.patches.reasons import JudgementError, Reason
from vlbench.patches.timed import timed_rows
from vlbench.process.child import end_left_by_ended, waiting_threads
from vlbench.process.left_behind import LEFT_BEHIND, adopting
from vlbench.process.listing import listing
from vlbench.process.scratch import Scratch
from vlbench.record.outputs import StoredOutputs
from vlbench.revisions.checkouts import Revision, checked_out, patched, repository
from vlbench.revisions.counters import counted_at, judged_counts
from vlbench.revisions.request import BASE, HEAD, Pair, Request
from vlbench.trial.checks import Outcome, OwnCheck, check_own
from vlbench.version import FOLDER, __version__

if TYPE_CHECKING:
    from vlbench.towers.from_folder import TowerInFolder
    from vlbench.trial.session import Watch


@dataclass(frozen=True)
class PatchRequest:
    """What to judge by."""

    request: Request
    """One tower, the GPU that counting answers for, and how times are taken."""
    points: tuple[Point, ...]
    baselines: str
    """The folder that BASE keeps its baselines in."""
    seed: int | None = None
    """None: drawn after the patch was read."""
    times: bool = False

    @property
    def tower(self) -> str:
        """Its name."""
        return self.request.towers[0]


def judge(base: str, patch: str, asked: PatchRequest, watch: Watch, say: Callable[[str], None]) -> PatchJudged:
    """Judge a patch of `base`: a file with a unified diff or, where there is none of that name, a revision.

    `say` is told what is being done. Raises UsageError for what is neither, and for a tower that BASE does not have.
    """
    start, judging = time.monotonic(), _Judging(asked, watch, say)
    try:
        reason, said = judging.run(base, patch)
    except JudgementError as found:
        reason, said = found.reason, found.said
    rows = judging.rows or [JudgedRow.missing(asked.tower, "accuracy", said)]
    gain = judging.gain if reason.verdict == "improved" else 0.0
    took = time.monotonic() - start
    judged = Judged(command="judge-patch", before=base, after=patch, rows=tuple(rows), false_alarms=None, seconds=took)
    return PatchJudged(
        vlbench=__version__,
        tower=asked.tower,
        verdict=reason.verdict,
        reason=reason.code,
        said=said,
        reward=round(reward_of(reason, gain), 4),
        gain=round(gain, 4),
        seed=judging.seed,
        seed_was_given=asked.seed is not None,
        judged=judged,
    )


class _Judging:
    def __init__(self, asked: PatchRequest, watch: Watch, say: Callable[[str], None]) -> None:
        self.asked, self.watch, self.say = asked, watch, say
        self.rows: list[JudgedRow] = []
        self.gain, self.seed = 0.0, 0

    def run(self, base: str, patch: str) -> tuple[Reason, str]:
        """Raises JudgementError where it ends before its end."""
        with checked_out((base,)) as (before,), _files(base, patch) as after:
            seen, ours = listing(before.folder), listing(FOLDER)
            at = before.folder, after.folder
            check_changes(seen, listing(after.folder), at, f"{before.prefix}{self.asked.baselines}")
            self.seed = randbits(48) if self.asked.seed is None else self.asked.seed
            pair = Pair(before, after)
            with pair.naming():
                towers = [pair.at(each, self.asked.tower) for each in (before, after)]
                try:
                    outcome, counted = self._looked_at(pair, towers, seen)
                    _check_same(FOLDER, ours)
                    found = self._decided(pair, outcome, counted, seen)
                    _check_same(FOLDER, ours)
                    return found
                except JudgementError as found:
                    raise JudgementError(found.reason, pair.plain(found.said)) from None

    def _looked_at(
        self, pair: Pair, towers: Sequence[TowerInFolder], seen: dict[str, str]
    ) -> tuple[Outcome, list[list[CountResult]]]:
        """How the result compares, and the counts of both."""
        with Scratch() as folder:
            weights = Path(folder) / "weights"
            self.say("building BASE and counting it")
            left, counted = self._both(pair, pair.base, OwnCheck(**self._check(towers[0], 0), leave=weights))
            if left.outputs is None:
                raise JudgementError(Reason.BASE_UNUSABLE, f"BASE: {left.reason}")
            self.say("calling the patched tower and counting it")
            handed = OwnCheck(**self._check(towers[1], self.seed), handed=weights)
            made, patched_counts = self._head(pair, handed)
        if made.outputs is None or not any(each.parts for each in made.outputs.calls):
            told = made.reason if made.outputs is None else made.outputs.calls[0].raised
            raise JudgementError(Reason.NO_RESULT, f"it gives no result: {told}")
        self.say("calling BASE on the same")
        held = self._held(pair, made.outputs, left.outputs, seen)
        return self._seen(held, made, counted, patched_counts), [counted, patched_counts]

    def _held(self, pair: Pair, made: StoredOutputs, left: StoredOutputs, seen: dict[str, str]) -> Outcome:
        """BASE, written anew, is called: its outputs were in no process before."""
        with _anew(pair, seen) as there:
            tower = there.at(there.base, self.asked.tower)
            check = OwnCheck(**self._check(tower, self.seed), stored=left, patched=made)
            found = check_own(check, self._timeout, own_session=True)
            return found.model_copy(update={"reason": there.plain(found.reason)})

    def _seen(self, held: Outcome, made: Outcome, base: Sequence[CountResult], head: Sequence[CountResult]) -> Outcome:
        """The comparison, with what the patched tower does otherwise on a GPU. Raises where it says nothing."""
        if held.kind == "wrong":
            self.rows = [
                JudgedRow(cell=self.asked.tower, measure="accuracy", verdict=Verdict.INACCURATE, reason=held.reason)
            ]
            raise JudgementError(Reason.WRONG_RESULT, held.reason)
        if held.kind == "unknown":
            raise JudgementError(Reason.BASE_UNUSABLE, f"BASE: {held.reason}")
        calls = len(made.outputs.calls) if made.outputs else 0
        right = made.model_copy(
            update={"reason": f"its outputs on {calls} small calls are BASE's", "moved": held.moved}
        )
        there, of_base = head[0].work, base[0].work
        if not (right.work and there):
            return right
        found = seen_elsewhere(right, there, "let it do the same on both")
        if found.kind == "right":
            return found
        if of_base and held.work and seen_elsewhere(held, of_base, "").kind != "right":
            return right.model_copy(update={"elsewhere": found.reason})
        raise JudgementError(Reason.LESS_ON_A_GPU, found.reason)

    def _both(self, pair: Pair, revision: Revision, check: OwnCheck) -> tuple[Outcome, list[CountResult]]:
        """The check and the counts of one revision, side by side.

        What HEAD leaves behind has to be found, so its processes have sessions of their own, in which compilers start
        no helpers. Those of BASE have them as well: what is compared is treated alike.
        """
        request, points = self.asked.request, self.asked.points
        how = request.profile, request.cudnn, request.counted_dtype
        with waiting_threads(1) as pool:
            checked = pool.submit(check_own, check, self._timeout, own_session=True)
            try:
                counted = counted_at(pair.at(revision, self.asked.tower), points, *how, own_session=True)
            except UsageError as error:
                counted = [CountResult(reason=str(error))] * len(points)
            return checked.result(), counted

    def _head(self, pair: Pair, check: OwnCheck) -> tuple[Outcome, list[CountResult]]:
        """The same of HEAD. What it has left running is ended, and it is judged no further."""
        with adopting() as strangers:
            found = self._both(pair, pair.head, check)
            number = end_left_by_ended(strangers)
        if number:
            raise JudgementError(Reason.LEFT_BEHIND, LEFT_BEHIND.format(number_of(number, "process", "processes")))
        return found

    def _check(self, at: TowerInFolder, secret: int) -> dict[str, Any]:
        """What every check has; one of our models stands in its smallest size."""
        small = at if at.is_foreign else replace(at, tower="+".join([narrow(at.tower), *at.tower.split("+")[1:]]))
        dtype, threads = self.asked.request.counted_dtype, max(1, (os.cpu_count() or 1) // 2)
        return {"tower": str(small), "secret": secret, "dtype": dtype, "threads": threads, "timeout": self._timeout}

    @property
    def _timeout(self) -> float:
        return self.asked.request.timeout

    def _decided(
        self, pair: Pair, outcome: Outcome, counted: Sequence[Sequence[CountResult]], seen: dict[str, str]
    ) -> tuple[Reason, str]:
        """By counters and, where they are asked for, times."""
        asked, request = self.asked, self.asked.request
        pairs = []
        for point, old, new in zip(asked.points, *counted, strict=True):
            if old.cell is None or new.cell is None:
                which, reason = (BASE, Reason.BASE_UNUSABLE) if old.cell is None else (HEAD, Reason.NOT_COUNTED)
                told = (old if old.cell is None else new).reason
                raise JudgementError(reason, f"{which if which == BASE else 'it'} cannot be counted: {told}")
            sides = {BASE: old, HEAD: new}
            row = judged_counts(sides, asked.tower, point, request.counted_dtype, request.profile)
            cell = new.cell.model_copy(update={"tower": asked.tower})
            found = rows_of_cell(cell, row, {asked.tower: outcome})
            self.rows += found if not self.rows else found[1:]
            pairs.append((old.cell, new.cell))
        self.gain = gain_of(pairs)
        reason, said = reason_of(self.rows)
        if asked.times and reason.verdict in ("improved", "fewer", "same"):
            self.say(f"timing both in lock-step, for {request.budget:.0f} s at most")
            with _anew(pair, seen) as there:
                timed = timed_rows(there, replace(request, seed=self.seed % 2**31), repository(), self.watch)
            self.rows += timed
            reason, said, self.gain = with_times(reason, said, self.gain, timed)
        return reason, said


@contextmanager
def _anew(pair: Pair, seen: dict[str, str]) -> Iterator[Pair]:
    """The pair with BASE's files written anew. Raises JudgementError where they are not as they were, or change."""
    with checked_out((pair.base.name,)) as (again,):
        files = listing(again.folder)
        yield Pair(again, pair.head)
        if files != seen or not listing(again.folder).items() >= seen.items():
            raise JudgementError(Reason.TOUCHED_THE_JUDGE, "files of BASE are not those of before it ran")


def _check_same(folder: Path, ours: dict[str, str]) -> None:
    if not listing(folder).items() >= ours.items():
        raise JudgementError(Reason.TOUCHED_THE_JUDGE, "it changed files of vlbench: install it anew")


@contextmanager
def _files(base: str, patch: str) -> Iterator[Revision]:
    """What is judged, as files. Raises JudgementError for a patch that is none or does not apply."""
    file = Path(patch)
    if patch == "." or not file.is_file():
        with checked_out((patch,)) as (found,):
            yield found
        return
    check_patch(file, repository())
    with ExitStack() as applied:
        try:
            revision = applied.enter_context(patched(base, file))
        except UsageError as error:
            raise JudgementError(Reason.DOES_NOT_APPLY, f"{patch}: {error}") from None
        yield revision
