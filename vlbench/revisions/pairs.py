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
from vlbench.judging.vote import confirm, unconfirmed
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


def go_on_in_sets(session: Session, step: int) -> None:
    """Pairs of every plan, `step` at a time, until they show the threshold; then as many again where one is called.

    The plans have BASE and HEAD alone. Half of the time is kept for confirming. Where nothing is called it goes to
    pairs that do not show the threshold yet, and what is called only then is not confirmed, so that it does not stand.
    """
    now, plans = time.monotonic(), range(len(session.plans))
    end = now + (session.limits.until - now) * (1 - CONFIRMING)
    seconds = (end - now) / max(1, len(plans)) / step / STEPS * ROUNDS
    session.planned = dict.fromkeys(plans, 0)
    left = _go_on(session, plans, step, seconds, end)
    called = [at for at, group in enumerate(session.groups()) if judgement_of(group).verdict in CALLED]
    for index in called:
        done = session.planned[index]
        session.planned[index] = 2 * done
        session.confirm({index: [HEAD]}, done, seconds)
    _go_on(session, [index for index in left if index not in called], step, seconds, session.limits.until)


def _go_on(session: Session, plans: Iterable[int], step: int, seconds: float, end: float) -> list[int]:
    """Further pairs for as long as there is time for a step, which the first has; the plans that need more still."""
    left, took = list(plans), 0.0
    while left and (not session.planned[left[0]] or time.monotonic() + took <= end):
        start = time.monotonic()
        numbers = [(session.planned[index] + pair, index) for pair in range(step) for index in left]
        session.planned |= {index: session.planned[index] + step for index in left}
        session.trials_of((Asked(index, pair, seconds, f"pair {pair + 1}") for pair, index in numbers), end)
        took = time.monotonic() - start
        groups = session.groups()
        left = [index for index in left if (found := _ratios(groups[index])) and not shows(found, FLOORS)]
    return left


def judgement_of(group: CellGroup) -> Judgement:
    """What the pairs say of HEAD; what further pairs call stands only where as many again confirm it."""
    first, second = _ratios(group), _ratios(group, confirms=True)
    judged = vote_in_sets(first, FLOORS)
    return confirm(judged, vote_in_sets(second, FLOORS)) if second else judged


def confirmed(group: CellGroup) -> Judgement:
    """The same at the end of all: what is called and was not measured again does not stand."""
    judged = judgement_of(group)
    return judged if _ratios(group, confirms=True) else unconfirmed(judged, group.lost)


def with_price(row: JudgedRow, seconds: float) -> JudgedRow:
    """A row about time that is undecided after so many seconds, with how long it would take to see more."""
    if row.verdict is not Verdict.INCONCLUSIVE or row.visible is None:
        return row
    wanted = next((each for each in WANTED if each < row.visible), WANTED[-1])
    needed = seconds * times_more(row.visible, wanted, FLOORS)
    about = f"{needed:.0f} s" if needed < 100 else f"{needed / 60:.0f} min" if needed < 6000 else "hours"
    told = f"undecided: changes below {percent(row.visible)} cannot be seen in {seconds:.0f} s"
    return row.model_copy(update={"reason": f"{told}; about {about} would show {percent(wanted)}; {row.reason}"})


def _ratios(group: CellGroup, *, confirms: bool = False) -> list[Estimate]:
    row = next(row for row in group.rows if row.name == HEAD)
    return estimates(group, row, "warm", confirms=confirms)
