"""Plans measured again for a gate: trials, then once more over whatever the first vote called. No file is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import CellGroup
    from vlbench.trial.session import Session, Suspects, Watch

TIMEOUT = 900.0
"""Seconds after which a trial is ended."""
A_MOMENT = 1e-3
"""Seconds of rounds where times do not matter: the fewest rounds are run, and their outputs are checked."""


def measure_again(
    plans: Sequence[Plan],
    trials: int,
    budget: float,
    suspects: Suspects,
    watch: Watch | None = None,
) -> list[CellGroup]:
    """What `trials` trials of each plan say, in their order, with those that confirm.

    `budget` is in seconds of rounds over all plans and trials; half of it is set aside for confirming. `suspects` names
    the variants of a plan, by its index, that its vote called. A plan whose job is refused has no trials, and the
    refusal among those that were lost.
    """
    session = _session(plans, watch)
    session.vote(trials, budget, suspects)
    return session.groups()


def check_again(plans: Sequence[Plan], watch: Watch | None = None) -> list[CellGroup]:
    """One short trial of each plan, for its accuracy alone."""
    session = _session([replace(plan, stages=False) for plan in plans], watch)
    session.run(1, A_MOMENT)
    return session.groups()


def _session(plans: Sequence[Plan], watch: Watch | None) -> Session:
    from vlbench.record.journal import Journal
    from vlbench.trial.session import Session

    return Session(plans, Journal(None, ""), timeout=TIMEOUT, watch=watch or (lambda progress: None), keep_going=True)
