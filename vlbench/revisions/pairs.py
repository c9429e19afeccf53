"""Lock-step pairs until they show the threshold, or until the time for all of it is over.

A pair has a start of its own, and pairs differ more among themselves than the rounds of one: so rounds are few and
pairs are many. When to stop depends on how far pairs lie apart, never on what they say.
"""

import time
from collections.abc import Iterable

from vlbench.judging.judged import JudgedRow
from vlbench.judging.sets import shows, times_more, vote_in_sets
from vlbench.judging.summary import estimates
from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict
from vlbench.judging.vote import confirm
from vlbench.judging.words import percent
from vlbench.record.schema import CellGroup
from vlbench.revisions.request import HEAD
from vlbench.stats.paired import Estimate
from vlbench.trial.session import CONFIRMING, Asked, Session

FLOORS = Floors()
STEPS = 4
"""Times as many pairs as votes for which there should be time before anything is confirmed."""
ROUNDS = 0.4
"""Share of the time of a pair in which it is timed; it is started and checked in the rest."""
WANTED = (0.05, 0.03, 0.02)
"""Changes that people ask for: of those the next one that a run does not show is told the price of."""


class Pairs(Session):
    """A session whose plans have BASE and HEAD alone."""

    def vote_in_sets(self, step: int) -> None:
        """Pairs of every plan, `step` at a time, until they show the threshold; then as many again where one is called.

        Half of the time is kept for that. Where nothing is called it goes to pairs that do not show the threshold yet,
        and what is called only then is not confirmed, so that it does not stand.
        """
        now = time.monotonic()
        self._end = now + (self.limits.until - now) * (1 - CONFIRMING)
        seconds = (self._end - now) / max(1, len(self.plans)) / step / STEPS * ROUNDS
        self._planned = dict.fromkeys(range(len(self.plans)), 2 * step)
        left = self._go_on(range(len(self.plans)), 0, step, seconds)
        groups = self.groups()
        self._end = self.limits.until
        called = [number for number, group in enumerate(groups) if judgement_of(group).verdict in CALLED]
        for number in called:
            self.confirm({number: [HEAD]}, _numbers(groups[number]), seconds)
        further = max(map(_numbers, groups), default=0)
        self._go_on([number for number in left if number not in called], further, step, seconds)

    def _go_on(self, plans: Iterable[int], number: int, step: int, seconds: float) -> list[int]:
        """Further pairs, from `number` on, for as long as there is time for a step; the plans that need more still."""
        left, took = list(plans), 0.0
        while left and (number == 0 or time.monotonic() + took <= self._end):
            start = time.monotonic()
            todo = [(number + pair, index) for pair in range(step) for index in left]
            for done, (pair, index) in enumerate(todo):
                names = [variant.name for variant in self.plans[index].variants]
                self._trial(Asked(index, pair, seconds, names, f"pair {pair + 1}", len(todo) - done))
            number, took = number + step, time.monotonic() - start
            groups = self.groups()
            left = [index for index in left if (found := _ratios(groups[index])) and not shows(found, FLOORS)]
        return left


def judgement_of(group: CellGroup) -> Judgement:
    """What the pairs say of HEAD; what further pairs call stands only where as many again confirm it."""
    first, second = _ratios(group), _ratios(group, confirms=True)
    judged = vote_in_sets(first, FLOORS)
    return confirm(judged, vote_in_sets(second, FLOORS)) if second else judged


def confirmed(group: CellGroup) -> Judgement:
    """The same at the end of all: what is called in several sets, and was not measured again, does not stand."""
    judged = judgement_of(group)
    unconfirmed = judged.verdict in CALLED and not _ratios(group, confirms=True)
    if not unconfirmed or len(_ratios(group)) < 2 * FLOORS.n:
        return judged
    reason = f"{judged.reason}; there was no time left to confirm it"
    return Judgement(Verdict.INCONCLUSIVE, reason, judged.estimate, judged.visible, judged.slower, judged.faster)


def with_price(row: JudgedRow, seconds: float) -> JudgedRow:
    """A row about time that is undecided after so many seconds, with how long it would take to see more."""
    if row.verdict is not Verdict.INCONCLUSIVE or row.visible is None:
        return row
    wanted = next((each for each in WANTED if each < row.visible), WANTED[-1])
    needed = seconds * times_more(row.visible, wanted, FLOORS)
    about = f"{needed:.0f} s" if needed < 100 else f"{needed / 60:.0f} min" if needed < 6000 else "hours"
    told = f"undecided: changes below {percent(row.visible)} cannot be seen in {seconds:.0f} s"
    return row.model_copy(update={"reason": f"{told}; about {about} would show {percent(wanted)}; {row.reason}"})


def _numbers(group: CellGroup) -> int:
    """How many numbers of pairs were given out."""
    return 1 + max((trial.number for trial in group.trials), default=-1)


def _ratios(group: CellGroup, *, confirms: bool = False) -> list[Estimate]:
    row = next(row for row in group.rows if row.name == HEAD)
    return estimates(group, row, "warm", confirms=confirms)
