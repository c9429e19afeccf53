"""A run's own A/A: the reference tower's instances are identical programs, and may not be told apart.

Each is called once a round, as its rivals are. How much they differ is what this run, on this machine, cannot tell from
a change; where the rule would call one of them different from the others, it would call anything. The rule is that of
their rivals, a vote and another that confirms it: of seven instances one vote calls too many.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from vlbench.judging.busy import busy, throttled
from vlbench.judging.ratios import instance_ratios
from vlbench.judging.verdict import CALLED, Floors
from vlbench.judging.vote import vote
from vlbench.judging.words import change
from vlbench.record.schema import CellGroup, State, Trial
from vlbench.stats.paired import Estimate

PROVES_NOTHING = (
    "this run proves nothing: an instance of the reference tower differs from the others, which are the same program"
)


def instances_of(trials: Sequence[Trial], state: State) -> list[list[Estimate]]:
    """By instance: its time over that of the others, in each trial. Empty where the reference tower had but one."""
    found = [ratios for trial in trials if (ratios := instance_ratios(trial, state))]
    return [list(one) for one in zip(*found, strict=False)]


def proves_nothing(group: CellGroup, floors: Floors, state: State) -> str:
    """Why a group proves nothing, in a sentence; "" where not each of its votes finds an instance that stands out."""
    votes = (group.vote(confirms=confirms) for confirms in (False, True))
    found = [odd_instance(trials, floors, state) for trials in votes if instances_of(trials, state)]
    return found[-1] if all(found) and found else ""


def beside_odd(group: CellGroup, floors: Floors, state: State) -> list[str]:
    """A row to measure again, with the instances, where one of them stands out in the first vote; else none."""
    return [row.name for row in group.rows[1:2] if odd_instance(group.vote(), floors, state)]


def odd_instance(trials: Sequence[Trial], floors: Floors, state: State) -> str:
    """The instance of the reference tower that stands out in a vote of `trials`, in a sentence; "" where none does."""
    for estimates in instances_of(trials, state):
        judged = vote(estimates, floors)
        if judged.verdict in CALLED and judged.estimate is not None:
            return f"{PROVES_NOTHING}, by {change(judged.estimate.ratio)}"
    return ""


def widest(trials: Sequence[Trial], state: State) -> float | None:
    """The ratio, median over trials, of the instance that is furthest from the others; None where there was but one."""
    return furthest(median(each.ratio for each in estimates) for estimates in instances_of(trials, state))


def furthest(ratios: Iterable[float]) -> float | None:
    """The ratio that is furthest from 1, either way; None where there is none."""
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=None)


def told_of(group: CellGroup) -> list[str]:
    """What a reader has to know of a run: how far its own instances are apart, and what tells of a busy machine."""
    trials = group.vote()
    said = [busy(group), throttled(group)]
    if (ratio := widest(trials, "warm")) is not None:
        count = max(len(trial.instances("warm")) for trial in trials)
        how = f"{count} instances of {group.rows[0].name}, the same program, differ by up to {change(ratio)}"
        said.insert(0, f"A/A of this run: {how} from each other.")
    return [each for each in said if each]
