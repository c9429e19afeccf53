"""A tower of a trial whose towers are apart, `python -m vlbench.revisions.apart`: see `isolated`.

The reference's process has its code and its weights before any other tower runs, and is not called before all others
have left what they make of the inputs of the check. It is called on what they are timed with after they have ended.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vlbench.errors import UsageError
from vlbench.implementations.output import Parts
from vlbench.implementations.weights import CheckpointError
from vlbench.process.parent import serve
from vlbench.record.exactness import FP32_LIMITS, Accuracy
from vlbench.revisions.bench import FollowingBench, LeavingBench, replayed
from vlbench.revisions.messages import Order, Ready, Said, Turn, output_of
from vlbench.revisions.worker import TowerAtWork, refuse_strangers
from vlbench.towers.from_folder import tower_in_folder
from vlbench.trial.accuracy import Judged, raised_words, run
from vlbench.trial.job import Checked, VariantJob
from vlbench.trial.rounds import without_collector
from vlbench.trial.settle import settle
from vlbench.trial.store import Here
from vlbench.trial.subject import Subject, prepared


class AwaitedBench(LeavingBench):
    """The reference's: it judges when it is told to."""

    judges = False

    def judged(self, variant: VariantJob, exchange: Path) -> Iterator[Said]:
        """What another has left, held against the reference, and how far it may be off in a round."""

        @cache
        def again() -> Judged:
            left = torch.load(output_of(exchange, variant.name), map_location=self.device, weights_only=True)
            return replayed(left)

        yield Checked(variant=variant.name, accuracy=self.judge.check(variant.exactness, again, again))
        yield Ready(allowed=self.allowed(variant.exactness))


class ApartBench(FollowingBench):
    """Another's: it takes the reference's weights where they fit, and is judged elsewhere."""

    judges = False

    def leave(self, variant: VariantJob) -> tuple[list[Parts], Subject]:
        """What it makes of all that accuracy is checked on, in the order of `Judge.check`; and it, to be timed."""
        exact_inputs = [entry.to(torch.float32) for entry in self.checked_on]
        exact = tower = self.variant(variant, exact=True)
        left = [run(exact, entry) for _ in range(2) for entry in exact_inputs]
        if self.dtype is not torch.float32:
            tower = self.variant(variant, exact=False)
            left += [run(tower, entry) for _ in range(2) for entry in self.checked_on]
            left += [run(exact, entry) for entry in exact_inputs]
        return left, self.warm(tower, variant)


def follow(order: Order, turns: Iterator[Turn], say: Callable[[Said], None]) -> None:
    """Build the tower, then do what each turn asks for. Raises UsageError when it cannot be done as asked."""
    job = order.job
    settle(job.threads)
    (variant,) = job.variants
    bench: AwaitedBench | ApartBench
    bench = (AwaitedBench if order.leads else ApartBench)(job, Here(), order.exchange)
    say(prepared(bench))
    if order.repository and (at := tower_in_folder(job.model)):
        refuse_strangers(order.repository, at.folder)
    subject = _awaited(bench, variant, turns, say) if isinstance(bench, AwaitedBench) else _left(bench, order, say)
    output = output_of(order.exchange, variant.name)
    side = TowerAtWork(variant.name, subject, bench.inputs, job.device, output) if subject else None
    with torch.inference_mode(), without_collector():
        for turn in turns:
            if turn.variant and isinstance(bench, AwaitedBench):
                for said in bench.judged(turn.variant, order.exchange):
                    say(said)
            elif side:
                say(side.take(turn))


def _awaited(
    bench: AwaitedBench, variant: VariantJob, turns: Iterator[Turn], say: Callable[[Said], None]
) -> Subject | None:
    """The reference, checked when it is its turn."""
    next(turns)
    bench.begin_to_judge()
    checked, subject = bench.check(variant)
    say(checked)
    return subject


def _left(bench: ApartBench, order: Order, say: Callable[[Said], None]) -> Subject | None:
    """Another tower, when it has left what it makes of the inputs of the check; None where it raised."""
    (variant,) = order.job.variants
    try:
        left, subject = bench.leave(variant)
    except (Exception, SystemExit) as failure:  # whatever a tower raises is its result, not ours
        limit: dict[str, Any] = {"fp32_error": None, "fp32_limit": FP32_LIMITS[variant.exactness]}
        reason = raised_words(failure)
        accuracy = Accuracy(passed=False, exactness=variant.exactness, reason=reason, **limit)
        say(Checked(variant=variant.name, accuracy=accuracy))
        return None
    torch.save(
        [{part: each.cpu() for part, each in parts.items()} for parts in left], output_of(order.exchange, variant.name)
    )
    say(Ready(allowed={}))
    return subject


if __name__ == "__main__":
    serve(lambda parent: follow(next(parent.hear(Order)), parent.hear(Turn), parent.say), (UsageError, CheckpointError))
