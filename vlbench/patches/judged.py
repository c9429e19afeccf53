"""What is said of a patch: one verdict, one reason, and a reward."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.patches.reasons import CODES, PatchVerdict, Reason
from vlbench.record.base import Record
from vlbench.record.baseline import CountedCell
from vlbench.revisions.clocks import CLOCK

REWARDS: dict[PatchVerdict, float] = {"improved": 0.3, "fewer": 0.2, "same": 0.2, "inconclusive": 0.2, "regressed": 0.1}
"""By verdict, 0 for each that is not here; an improvement adds 0.7 times what it gains."""
GAINS = ("host_syncs", "uploads", "attention_plans", "device_operations")
"""Counters of the second forward that an improvement is measured by."""


class PatchJudged(Record):
    """The judgement of one patch."""

    schema_version: Literal[1] = 1
    vlbench: str
    tower: str
    verdict: PatchVerdict
    reason: str
    """Its code."""
    said: str
    """What was seen, in one sentence."""
    reward: float = Field(ge=0, le=1)
    gain: float = Field(ge=0, le=1)
    """The share of time that is gone or, where no times were asked for, the mean share of `GAINS` that is."""
    seed: int
    """Contents and held-out grids were drawn from it."""
    seed_was_given: bool
    """Was it known before the patch was read?"""
    judged: Judged
    """Its rows."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return CODES[self.reason].exit_code


def reward_of(reason: Reason, gain: float) -> float:
    """The rule: what the verdict is worth, and 0.7 times the gain of an improvement."""
    return REWARDS.get(reason.verdict, 0.0) + (0.7 * gain if reason.verdict == "improved" else 0.0)


def gain_of(pairs: Sequence[tuple[CountedCell, CountedCell]]) -> float:
    """The mean share that is gone, over calls and over those of `GAINS` that BASE has any of; a rise is none."""
    shares = [
        max(0.0, 1 - after.warm.counters.get(name, before.warm.counters[name]) / before.warm.counters[name])
        for before, after in pairs
        for name in GAINS
        if before.warm.counters.get(name)
    ]
    return sum(shares) / len(shares) if shares else 0.0


def reason_of(rows: Sequence[JudgedRow]) -> tuple[Reason, str]:
    """The reason of a right result by its counters, and its sentence."""
    by_verdict = {row.verdict: row for row in reversed(rows) if row.measure == "counters"}
    if row := by_verdict.get(Verdict.MISSING):
        return Reason.NOT_COUNTED, row.reason
    if row := by_verdict.get(Verdict.REGRESSED):
        waits = any("sync" in move.name and move.after > move.before for move in row.moves if move.kind == "counter")
        return Reason.MORE_WAITS if waits or "host syncs" in row.reason else Reason.MORE_WORK, row.reason
    if row := by_verdict.get(Verdict.FEWER):
        return Reason.FEWER_UNPROVEN, row.reason
    if row := by_verdict.get(Verdict.IMPROVED):
        return Reason.LESS_ASKED, row.reason
    return Reason.NO_GAIN, rows[-1].reason


def with_times(reason: Reason, said: str, gain: float, rows: Sequence[JudgedRow]) -> tuple[Reason, str, float]:
    """The same where times are there: what is slower or undecided is so whatever was counted."""
    found = {row.verdict: row for row in reversed(rows)}
    if row := next((row for row in rows if CLOCK in row.reason), None):
        return Reason.CLOCK_OF_ITS_OWN, row.reason, 0.0
    for verdict, worse in {
        Verdict.INACCURATE: Reason.WRONG_RESULT,
        Verdict.MISSING: Reason.NOT_TIMED,
        Verdict.REGRESSED: Reason.SLOWER,
        Verdict.INCONCLUSIVE: Reason.UNDECIDED,
    }.items():
        if row := found.get(verdict):
            return worse, row.reason, 0.0
    faster = found.get(Verdict.IMPROVED)
    if faster is None or faster.ratio is None or reason is Reason.FEWER_UNPROVEN:
        return reason, said, gain
    return Reason.FASTER, faster.reason, max(0.0, 1 - faster.ratio)
