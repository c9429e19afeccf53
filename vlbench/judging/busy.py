"""What tells that a machine was busy, or its GPU throttled, while it was measured. It lowers no verdict.

Votes see the noise themselves, and all rows share a round with its clock: ratios hold, milliseconds do not.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import quantiles

from vlbench.judging.words import number_of, percent
from vlbench.record.schema import CellGroup, Trial

LOAD = 0.75
"""Running processes beside our threads, by the load average of a minute."""
STOLEN = 0.01
SWITCHES = 50.0
"""A second: how often others took our core. A quiet machine has a few."""
UNSTEADY = 1.5
"""How much longer the slow tenth of the reference tower's rounds takes than the fast tenth."""


def busy(group: CellGroup) -> str:
    """Such as "busy machine: load 3.4 on 2 cores with 1 thread of ours, ..."; "" where nothing tells of it."""
    signs = [*_loads(group), *_pace(group.trials)]
    return f"busy machine: {', '.join(signs)}; measure again when it is quiet" if signs else ""


def throttled(group: CellGroup) -> str:
    """In how many rounds the GPU's clock was held back, why, and what that is for a reader; "" where in none."""
    reasons = sum((Counter(trial.throttled_by) for trial in group.trials), Counter[str]())
    why = f" ({', '.join(f'{reason} in {rounds}' for reason, rounds in reasons.most_common())})" if reasons else ""
    if held := held_back(group):
        return f"the GPU's clock was {held}{why}: ratios hold, and milliseconds do not compare with other runs"
    return ""


def held_back(group: CellGroup) -> str:
    """Such as "held back in 2 of 12 rounds"; "" where in none."""
    held = sum(len(trial.throttled_rounds) for trial in group.trials)
    rounds = sum(_rounds(trial) for trial in group.trials)
    return f"held back in {held} of {rounds} rounds" if held else ""


def _loads(group: CellGroup) -> list[str]:
    loads = [trial.load for trial in group.trials if trial.load]
    signs = []
    load = max((each.load for each in loads if each.load is not None), default=0.0)
    if load > group.threads + LOAD:
        ours = f"{number_of(group.threads, 'thread')} of ours"
        signs.append(f"load {load:.1f} on {loads[0].cores} cores with {ours}")
    if (stolen := max((each.stolen for each in loads if each.stolen is not None), default=0.0)) > STOLEN:
        signs.append(f"{percent(stolen)} of the time stolen by the hypervisor")
    if (switches := max((each.switches for each in loads), default=0.0)) > SWITCHES:
        signs.append(f"interrupted {switches:.0f} times a second")
    return signs


def _pace(trials: Sequence[Trial]) -> list[str]:
    """The clock against itself: how far the reference tower's own rounds are apart, in the worst trial."""
    timings = [trial.variants[0].timings.get("warm") for trial in trials if trial.variants]
    tenths = [quantiles(timing.seconds, n=10) for timing in timings if timing and len(timing.seconds) >= 10]
    worst = max((ends[-1] / ends[0] for ends in tenths), default=1.0)
    return [f"slow rounds of {trials[0].variants[0].name} take {worst:.1f}x the fast ones"] if worst > UNSTEADY else []


def _rounds(trial: Trial) -> int:
    return max((sum(len(each.seconds) for each in one.timings.values()) for one in trial.variants), default=0)
