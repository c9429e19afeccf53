"""A lock-step pair: two processes that are both alive, one revision each, and a token that says who may work.

It takes the place of a trial in one process where a package cannot be loaded twice, because it registers operators or
classes by name. Whatever slows the machine for a while still slows both sides of a round; what a process has for
itself, such as where its memory lies, does not cancel out, so one pair says less than one trial.
"""

import random
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from vlbench.errors import UsageError
from vlbench.implementations.output import Parts
from vlbench.process.child import Child, ChildError
from vlbench.process.interpreter import NO_OTHERS, Interpreter
from vlbench.process.messages import Message
from vlbench.process.scratch import Scratch
from vlbench.revisions.messages import SAID, Order, Reading, Ready, Said, Turn, Warm, output_of
from vlbench.towers.from_folder import tower_in_folder
from vlbench.trial.difference import beyond
from vlbench.trial.job import Checked, Event, Finished, Job, Prepared, Round, Stages, Struck, VariantJob
from vlbench.trial.pace import STAGE_CALLS
from vlbench.trial.remote import take_output
from vlbench.trial.rounds import HIDDEN, is_narrow, round_numbers
from vlbench.trial.session import COMPILED

NO_OUTPUT = "it left no output of a timed round that can be read"
WORKER, APART = "vlbench.revisions.worker", "vlbench.revisions.apart"
One = TypeVar("One", bound=Message)
Other = TypeVar("Other", bound=Message)


class Racer(Child[Said]):
    """A process that works in the folder of its own revision."""

    def __init__(
        self, variant: VariantJob, job: Job, timeout: float, *, apart: bool = False, python: Interpreter | None = None
    ) -> None:
        """Starts the process, which is to measure `variant` of `job` and is ended after `timeout` seconds.

        A revision's tower is named by its folder, and is its own model, as is one of another `python`. One that is
        `apart` has a session of its own.
        """
        at = tower_in_folder(variant.tower) if variant.tower else None
        self.python = python
        own = at or python
        self.job = job.model_copy(update={"model": variant.tower if own else job.model, "variants": (variant,)})
        super().__init__(
            APART if apart else WORKER,
            SAID,
            timeout,
            folder=at.folder if at else None,
            own_folders=COMPILED,
            name=variant.name,
            own_session=apart,
            python=python,
        )

    def expect(self, kind: type[One], other: type[Other] | None = None) -> One | Other:
        """Wait for what is said next, of one of these kinds. Raises UsageError for a refusal, ChildError for an end."""
        try:
            said = self.hear()
        except UsageError as refusal:
            if self.python is None:
                raise
            raise UsageError(f"{self.name}, {refusal}") from None
        if isinstance(said, kind) or (other and isinstance(said, other)):
            return said
        raise ChildError(self.name, f"it said {said.event!r} out of turn")

    def take(self, turn: Turn, kind: type[One], other: type[Other] | None = None) -> One | Other:
        """What it says to its turn, after which it is stopped: threads that wait by spinning would slow the other side.

        Raises as `expect` does.
        """
        self.go_on()
        self.tell(turn)
        said = self.expect(kind, other)
        self.stop()
        return said


def run_pair(
    job: Job, timeout: float, repository: Path | None = None, pythons: Mapping[str, Interpreter] = NO_OTHERS
) -> Iterator[Event]:
    """The events of one pair over the two variants of `job`, as `run_trial` gives those of a trial.

    The first variant is BASE and the job's model, the second HEAD; where a job has BASE alone, nothing is timed.
    A side that imports from `repository` is refused. `pythons` are those of sides by name, where that is not this one.
    Raises UsageError for a job that is refused, ChildError for a process that ended too early, or not within `timeout`
    seconds.
    """
    with Scratch() as folder, ExitStack() as ends:
        exchange = Path(folder)
        sides = [ends.enter_context(Racer(each, job, timeout, python=pythons.get(each.name))) for each in job.variants]
        passed, fed, allowed = 0, "", dict[str, float]()
        for side in sides:  # HEAD waits for what BASE leaves
            leads = side is sides[0]
            side.tell(Order(job=side.job, leads=leads, exchange=exchange, repository=repository))
            prepared = side.expect(Prepared)
            if leads:
                fed = prepared.fed_digest
                yield prepared
            elif prepared.fed_digest != fed:
                raise UsageError(
                    f"{side.name}: it reads other inputs than {sides[0].name} wrote; take nearer versions of torch"
                )
            checked = side.expect(Checked)
            yield checked
            passed += checked.accuracy.passed
            allowed = side.expect(Ready).allowed
        if passed == 2 and job.seconds:
            yield from _measure(job, sides[0], sides[1], allowed, exchange)
        yield Finished()


def _measure(job: Job, base: Racer, head: Racer, allowed: Mapping[str, float], exchange: Path) -> Iterator[Event]:
    for side in (base, head):
        side.take(Turn(does="warm-up"), Warm)
    struck = yield from _rounds(job, base, head, allowed, exchange)
    if struck is not None:
        yield struck
        return
    draw = random.Random(job.seed)
    for number in range(STAGE_CALLS if job.stages else 0):
        for side in draw.sample((base, head), 2):
            yield side.take(Turn(does="stages", number=number), Stages)


def _rounds(
    job: Job, base: Racer, head: Racer, allowed: Mapping[str, float], exchange: Path
) -> Generator[Event, None, Struck | None]:
    """Rounds of one reading each, in an order drawn afresh; what HEAD was caught at, if it was."""
    draw = random.Random(job.seed * 1000 + job.trial)
    seconds: dict[str, list[float]] = {base.name: [], head.name: []}
    hidden: Counter[str] = Counter()

    def precise() -> bool:
        return is_narrow(seconds[head.name], seconds[base.name], job.confidence)

    seconds_left = min(job.seconds, job.by - time.monotonic())
    for number in round_numbers(seconds_left, job.until, precise, confidence=job.confidence):
        host: dict[str, float] = {}
        outputs: dict[str, Parts] = {}
        throttled: set[str] = set()
        order = draw.sample((base, head), 2)
        for side in order:
            reading = side.take(Turn(does="reading", number=number), Reading, Struck)
            if isinstance(reading, Struck):
                return _caught(side, head, reading.reason)
            seconds[side.name].append(reading.seconds)
            hidden[side.name] += reading.hidden
            output = take_output(output_of(exchange, side.name))
            if output is None:
                return _caught(side, head, NO_OUTPUT)
            outputs[side.name] = output
            throttled.update(reading.throttled)
            if reading.host_seconds is not None:
                host[side.name] = reading.host_seconds
        if wrong := beyond(allowed, outputs[head.name], outputs[base.name]):
            return _caught(head, head, f"{wrong[0]} of a timed round is not BASE's: replayed, late, or a stale cache")
        yield Round(
            number=number,
            state="warm",
            seconds={name: times[-1] for name, times in seconds.items()},
            order=tuple(side.name for side in order),
            host_seconds=host,
            throttled=tuple(sorted(throttled)),
        )
    for side in (base, head):
        if 2 * hidden[side.name] > len(seconds[side.name]):
            return _caught(side, head, HIDDEN)
    return None


def _caught(side: Racer, head: Racer, reason: str) -> Struck:
    """HEAD is struck; where BASE is caught there is nothing to compare with, and the pair is lost."""
    if side is not head:
        raise ChildError(side.name, reason)
    return Struck(variant=head.name, reason=reason)
