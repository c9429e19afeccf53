"""A trial whose towers are apart, each in a process of its own: what a tower is compared with is nowhere while it runs.

The reference's process is built first. The others are called on the inputs of the check and leave their outputs; only
then is the reference called on the same. In rounds a token says who works, and all others are stopped. What a tower
has started and left running when it is stopped is ended, and the tower is struck. The contents
of a reading are drawn as it begins, for one tower alone; of the outputs some are kept, and the reference is called on
those contents when all others have ended. Turns are timed from here as well: a clock that shows a gain of which no more
than half is seen from here strikes its tower.
"""

import random
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import randbelow, randbits
from typing import Any

from vlbench.errors import UsageError
from vlbench.implementations.output import Parts
from vlbench.judging.words import number_of
from vlbench.process.child import ChildError
from vlbench.process.left_behind import LEFT_BEHIND, adopting
from vlbench.process.listing import listing
from vlbench.process.scratch import Scratch
from vlbench.revisions.clocks import CLOCK, Times, conceals, worked
from vlbench.revisions.lockstep import NO_OUTPUT, Racer
from vlbench.revisions.messages import Order, Reading, Ready, Turn, Warm, output_of
from vlbench.trial.difference import beyond
from vlbench.trial.job import Checked, Event, Finished, Job, Prepared, Round, Stages, Struck
from vlbench.trial.pace import STAGE_CALLS
from vlbench.trial.remote import take_output
from vlbench.trial.rounds import HIDDEN, is_narrow, round_numbers
from vlbench.version import FOLDER

KEPT = 16
"""Outputs of a tower that are kept, of rounds that are drawn."""


def run_apart(
    job: Job, timeout: float, repository: Path | None = None, seen: list[tuple[Times, Times]] | None = None
) -> Iterator[Event]:
    """The events of one trial over the variants of `job`, as `run_trial` gives them.

    `seen` is told the times of the first and of each other that was timed to the end. A side that imports from
    `repository` is refused. Raises UsageError for a job that is refused, ChildError for a process that ended too early,
    or not within `timeout` seconds, and where files of vlbench changed meanwhile.
    """
    ours = listing(FOLDER)
    with Scratch() as folder, adopting() as strangers, ExitStack() as ends:
        with ExitStack() as judged:
            first, *others = job.variants
            base = ends.enter_context(Racer(first, job, timeout, apart=True))
            sides = [judged.enter_context(Racer(each, job, timeout, apart=True)) for each in others]
            trial = _Trial(job, Path(folder), base, sides, strangers)
            yield from trial.checks(repository)
            if job.seconds and trial.alive:
                yield from trial.rounds()
                yield from trial.stages()
        if not listing(FOLDER).items() >= ours.items():
            raise ChildError(base.name, "files of vlbench changed while it ran: install it anew")
        trial.compare()
    if seen is not None:
        seen += [(trial.times[base.name], trial.times[each.name]) for each in trial.alive if trial.times[base.name].own]
    yield from (Struck(variant=name, reason=reason) for name, reason in trial.struck.items())
    yield Finished()


class _Trial:
    def __init__(
        self, job: Job, exchange: Path, base: Racer, sides: Sequence[Racer], strangers: Collection[int]
    ) -> None:
        self.job, self.exchange, self.base, self.sides, self.strangers = job, exchange, base, sides, strangers
        self.draw = random.Random(job.seed * 1000 + job.trial)
        self.alive: list[Racer] = []
        self.struck: dict[str, str] = {}
        self.allowed: dict[str, dict[str, float]] = {}
        self.times = {side.name: Times() for side in (base, *sides)}
        self.kept: dict[str, list[tuple[Turn, Parts]]] = {side.name: [] for side in sides}
        self.hidden: Counter[str] = Counter()
        self.left_behind: Counter[str] = Counter()

    def checks(self, repository: Path | None) -> Iterator[Event]:
        """All are built, the reference first; what the others leave is judged when the last of them has left it."""
        fed, failed = "", dict[str, Checked]()
        for side in (self.base, *self.sides):
            leads = side is self.base
            side.tell(Order(job=side.job, leads=leads, exchange=self.exchange, repository=repository))
            prepared = side.expect(Prepared)
            if leads:
                fed = prepared.fed_digest
                yield prepared
                continue
            if prepared.fed_digest != fed:
                raise UsageError(f"{side.name}: it is fed otherwise than {self.base.name}; make them agree")
            said = side.expect(Ready, Checked)
            self._stop(side)
            failed |= {said.variant: said} if isinstance(said, Checked) else {}
        self.base.tell(Turn(does="judge"))
        checked = self.base.expect(Checked)
        yield checked
        for side in self.sides:
            found = failed.get(side.name) or self._judged(side)
            if checked.accuracy.passed and found.accuracy.passed:
                self.alive.append(side)
            yield found

    def rounds(self) -> Iterator[Round]:
        """Rounds of one reading of each, in an order drawn afresh."""
        for side in (self.base, *self.alive):
            self._turn(side, Turn(does="warm-up"), Warm)
        self._strike_left_behind()
        seconds = min(self.job.seconds, self.job.by - time.monotonic())
        for number in round_numbers(seconds, self.job.until, self._precise, confidence=self.job.confidence):
            yield self._round(number)
        for side in list(self.alive):
            mine = self.times[side.name]
            if 2 * self.hidden[side.name] > len(mine.own):
                self._strike(side, HIDDEN)
            elif conceals(self.times[self.base.name], mine):
                self._strike(side, CLOCK)

    def stages(self) -> Iterator[Stages]:
        """The stages' shares, all in turn."""
        for number in range(STAGE_CALLS if self.job.stages else 0):
            for side in self.draw.sample([self.base, *self.alive], len(self.alive) + 1):
                yield self._turn(side, Turn(does="stages", number=number), Stages)[0]
        self._strike_left_behind()

    def compare(self) -> None:
        """The reference is called on what the others were timed with, when they have ended."""
        for side in list(self.alive):
            for turn, output in self.kept[side.name]:
                self._turn(self.base, turn.model_copy(update={"does": "again"}), Warm)
                wanted = take_output(output_of(self.exchange, self.base.name))
                if wanted is None:
                    raise ChildError(self.base.name, NO_OUTPUT)
                if wrong := beyond(self.allowed[side.name], output, wanted):
                    self._strike(side, f"{wrong[0]} of a timed round is wrong: replayed, late, or a stale cache")
                    break

    def _judged(self, side: Racer) -> Checked:
        self.base.tell(Turn(does="judge", variant=side.job.variants[0]))
        found = self.base.expect(Checked)
        self.allowed[side.name] = self.base.expect(Ready).allowed
        return found

    def _round(self, number: int) -> Round:
        order = self.draw.sample([self.base, *self.alive], len(self.alive) + 1)
        readings: dict[str, Reading] = {}
        for side in order:
            turn = Turn(does="reading", number=number, secret=randbits(60))
            said, *passed = self._turn(
                side, turn.model_copy(update={"does": "call", "secret": randbits(60)}), Warm, Struck
            )
            if not isinstance(said, Struck):
                said, *passed = self._turn(side, turn, Reading, Struck)
            output = None if isinstance(said, Struck) else take_output(output_of(self.exchange, side.name))
            if isinstance(said, Struck) or output is None:
                self._strike(side, said.reason if isinstance(said, Struck) else NO_OUTPUT)
            elif not 0 < said.seconds <= passed[0]:
                self._strike(side, CLOCK)
            else:
                self._keep(side, turn, output)
                self.times[side.name].own.append(said.seconds)
                self.times[side.name].passed.append(passed[0])
                self.times[side.name].worked.append(passed[1])
                self.hidden[side.name] += said.hidden
                readings[side.name] = said
        self._strike_left_behind()
        return Round(
            number=number,
            state="warm",
            seconds={name: each.seconds for name, each in readings.items()},
            order=tuple(readings),
            host_seconds={name: each.host_seconds for name, each in readings.items() if each.host_seconds is not None},
            throttled=tuple(sorted({reason for each in readings.values() for reason in each.throttled})),
        )

    def _turn(self, side: Racer, turn: Turn, kind: Any, other: Any = None) -> tuple[Any, float, float]:
        """What a tower says to its turn, and the seconds that passed and that it worked. Else it is stopped."""
        start, before = time.perf_counter(), worked(side.pid)
        side.go_on()
        side.tell(turn)
        said = side.expect(kind, other)
        seconds = time.perf_counter() - start
        effort = worked(side.pid) - before
        self._stop(side, seek=turn.does != "call")  # which is followed by its reading
        return said, seconds, effort

    def _stop(self, side: Racer, *, seek: bool = True) -> None:
        side.stop()
        self.left_behind[side.name] += side.end_left_behind(self.strangers) if seek else 0

    def _strike_left_behind(self) -> None:
        for side in (self.base, *self.alive):
            if number := self.left_behind[side.name]:
                self._strike(side, LEFT_BEHIND.format(number_of(number, "process", "processes")))

    def _keep(self, side: Racer, turn: Turn, output: Parts) -> None:
        kept = self.kept.get(side.name)
        if kept is None:
            return
        if len(kept) < KEPT:
            kept.append((turn, output))
        elif (place := randbelow(turn.number + 1)) < KEPT:
            kept[place] = turn, output

    def _strike(self, side: Racer, reason: str) -> None:
        """It is out; where it is the reference there is nothing to compare with, and the trial is lost."""
        if side is self.base:
            raise ChildError(side.name, reason)
        self.struck[side.name] = reason
        self.alive.remove(side)

    def _precise(self) -> bool:
        base = self.times[self.base.name].own
        return all(is_narrow(self.times[side.name].own, base, self.job.confidence) for side in self.alive)
