"""One side of a lock-step pair, `python -m vlbench.revisions.worker`: it builds its tower and works with the token."""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vlbench.errors import UsageError
from vlbench.implementations.output import OutputError
from vlbench.implementations.weights import CheckpointError
from vlbench.process.parent import serve
from vlbench.record.nvml import throttle_check
from vlbench.record.precision import turn_tf32_off
from vlbench.revisions.bench import FollowingBench, LeadingBench
from vlbench.revisions.messages import Order, Reading, Ready, Said, Turn, Warm, output_of
from vlbench.towers.from_folder import tower_in_folder
from vlbench.trial.clock import clock_for
from vlbench.trial.job import Struck
from vlbench.trial.rounds import raised_in_round, warm_up, without_collector
from vlbench.trial.settle import settle
from vlbench.trial.store import Apart, kept, poison
from vlbench.trial.subject import Inputs, Subject, prepared
from vlbench.trial.worker import stages_of


def follow(order: Order, turns: Iterable[Turn], say: Callable[[Said], None]) -> None:
    """Build and check the tower, then do what each turn asks for. Raises UsageError when it cannot be done as asked."""
    job = order.job
    settle(job.threads)
    (variant,) = job.variants
    with Apart() as store:
        bench = (LeadingBench if order.leads else FollowingBench)(job, store, order.exchange)
        say(prepared(bench))
        checked, subject = bench.check(variant)
    at = tower_in_folder(job.model)
    if order.repository and at:
        refuse_strangers(order.repository, at.folder)
    say(checked)
    say(Ready(allowed=bench.allowed(variant.exactness)))
    if subject is None:
        return
    side = TowerAtWork(variant.name, subject, bench.inputs, job.device, output_of(order.exchange, variant.name))
    with torch.inference_mode(), without_collector():
        for turn in turns:
            say(side.take(turn))


class TowerAtWork:
    """A tower that passed its check, and works a turn at a time."""

    def __init__(self, name: str, subject: Subject, inputs: Inputs, device: str, output: Path) -> None:
        """The output of each reading is left in the file `output`."""
        assert inputs.novel is not None  # a tower's inputs are
        self.name = name
        self.subject = subject
        self.novel, self.inputs = inputs.novel, inputs
        self.device = device
        self.clock, self.throttled_by = clock_for(device), throttle_check(device)
        self.output = output

    def take(self, turn: Turn) -> Said:
        """Do what the turn asks for."""
        turn_tf32_off()  # the last call may have turned it on
        if turn.secret is not None:
            self.novel = partial(self.inputs.rotating[0].turned, secret=turn.secret)
        match turn.does:
            case "warm-up":
                warm_up(self.subject, self.fresh(self.novel(0)), self.clock)
                return Warm()
            case "stages":
                run = partial(self.subject.run, self.fresh(self.novel(0)))
                return stages_of(self.name, run, self.device, busy=turn.number == 0)
            case "again":
                output = kept(self.subject.run(self.fresh(self.novel(2 * turn.number + 2))))
                torch.save({part: tensor.cpu() for part, tensor in output.items()}, self.output)
                return Warm()
            case "reading" | "call":
                return self._read(turn)
            case "judge":
                raise ValueError("only the reference of a trial whose towers are apart judges")

    def fresh(self, entry: Any) -> Any:
        """An input of its own, where the tower takes it."""
        return self.subject.prepare(self.inputs.fresh(entry))

    def _read(self, turn: Turn) -> Said:
        """One call untimed, since the other side had the machine and its caches until now; then one timed.

        Contents are new to both calls, the same for either side, and never come again. Where a turn has a secret of its
        own, it has one of the two.
        """
        try:
            if turn.does == "call" or turn.secret is None:
                self.subject.run(self.fresh(self.novel(2 * turn.number + 1)))
            if turn.does == "call":
                return Warm()
            read = self.clock(partial(self.subject.run, self.fresh(self.novel(2 * turn.number + 2))))
        except OutputError as failure:
            return Struck(variant=self.name, reason=failure.timed)
        except Exception as failure:  # whatever a tower raises is its result, not ours
            return Struck(variant=self.name, reason=raised_in_round(failure))
        output = kept(read.output)  # at once: what is written later does not count
        poison(read.output)
        torch.save({part: tensor.cpu() for part, tensor in output.items()}, self.output)
        return Reading(
            seconds=read.seconds, host_seconds=read.host_seconds, hidden=read.hidden, throttled=self.throttled_by()
        )


def refuse_strangers(repository: Path, revision: Path) -> None:
    """Raises UsageError for a module from the repository itself, in place of the revision that was written out.

    What is installed in place (editable) is imported from there by both sides alike: they would differ in name alone.
    """
    installed = Path(sys.prefix).resolve()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] == "vlbench":
            continue
        path = Path(file).resolve()
        if path.is_relative_to(repository) and not any(map(path.is_relative_to, (revision, installed))):
            raise UsageError(
                f"{name} is imported from {path}, so it would be the same for both revisions; uninstall what is "
                "installed in place, or name a tower that imports nothing of the kind"
            )


if __name__ == "__main__":
    serve(lambda parent: follow(next(parent.hear(Order)), parent.hear(Turn), parent.say), (UsageError, CheckpointError))
