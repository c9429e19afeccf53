"""What every command that judges reports: rows with verdicts, what moved in them, and the exit code they add up to.

`gate`, `diff` and `ab` make it, the files of `vlbench.export` write it down.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator

from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.verdict import Judgement, Verdict
from vlbench.judging.vote import VOTE_FALSE_ALARMS
from vlbench.record.base import Record, Unbounded
from vlbench.record.directions import EARLIER


class Move(Record):
    """One thing that is not what it was: a counter, a stage, or a line of code."""

    kind: Literal["counter", "operation", "line", "stage"]
    name: str
    """The counter, the operation, `event: source text` of the line, or the stage."""
    before: Unbounded
    """Zero where it was not there."""
    after: Unbounded
    """Zero where it is gone."""
    unit: Literal["", "B", "s"] = ""
    """Of both figures; counts have none."""
    stage: str = ""
    """Of a counter: the stage that moved most."""
    file: str | None = None
    """Of a line: its file, as seen from its import root."""
    line: int | None = None
    """Of a line: its number, now or, where it is gone, before."""
    advice: str = ""
    """What removes it, where that is known."""


Measure = Literal["counters", "time", "accuracy", "metric", "prediction"]
"""What a row is about; a metric is any other figure of a benchmark tool, such as a rate or a score."""


class JudgedRow(Record):
    """One cell in one respect. A row that is inaccurate or missing has no figures."""

    cell: str
    """What was measured, in words: tower, scenario, dtype, device."""
    measure: Measure
    verdict: Verdict
    reason: str
    """One plain sentence."""
    gates: bool = True
    """False: shown, but without a say in the exit code."""
    before: Unbounded | None = None
    after: Unbounded | None = None
    unit: str = ""
    """Of both figures: 's', 'x the reference', ''."""
    better: Annotated[Literal["lower", "higher"], BeforeValidator(lambda told: str(EARLIER.get(told, told)))] = "lower"
    """Which of two figures is better."""
    ratio: Unbounded | None = None
    """Cost after / before: above 1 is worse, also of rates, whose figure fell."""
    low: Unbounded | None = None
    high: Unbounded | None = None
    confidence: float | None = None
    """Of the interval from low to high."""
    visible: Unbounded | None = None
    """The smallest change, as a share, that would have been called, where need be twice, in four cases out of five."""
    paired: bool = False
    """Is the ratio that of calls side by side, to which the two figures, of all calls, need not come?"""
    moves: tuple[Move, ...] = ()
    """What moved, the largest change first."""
    new: tuple[str, ...] = ()
    """Counters that were not known before: shown, and not judged."""

    @classmethod
    def of(cls, cell: str, judgement: Judgement, **more: Any) -> Self:
        """The row of a judgement about time, with its interval; `more` are further fields, or others in their place."""
        found: dict[str, Any] = {"measure": "time", "verdict": judgement.verdict, "reason": judgement.reason}
        if estimate := judgement.estimate:
            found |= {name: getattr(estimate, name) for name in ("ratio", "low", "high", "confidence")}
        return cls(cell=cell, visible=judgement.visible, **found | more)

    @classmethod
    def missing(cls, cell: str, measure: Measure, reason: str, *, gates: bool = True) -> Self:
        """The row of what was not measured or does not compare."""
        return cls(cell=cell, measure=measure, verdict=Verdict.MISSING, reason=reason, gates=gates)

    @classmethod
    def counted(cls, cell: str, moves: Sequence[Move], same: str, told: str = "") -> Self:
        """The row of counts that are the same in every run: any rise is a regression, whatever fell.

        Its reason is `same` where nothing moved, else `told`, else the first move that is why.
        """
        rose = [move for move in moves if move.after > move.before]
        verdict = Verdict.REGRESSED if rose else Verdict.IMPROVED if moves else Verdict.SAME
        if moves and not told:
            first, *others = rose or moves
            place, verb = f" in {first.stage}" if first.stage else "", "rose" if rose else "fell"
            more = f", and {len(others)} more" if others else ""
            told = f"{first.name}{place} {verb} from {first.before:,.10g} to {first.after:,.10g}{more}"
        return cls(cell=cell, measure="counters", verdict=verdict, reason=told if moves else same, moves=tuple(moves))


class Judged(Record):
    """One comparison as a whole."""

    schema_version: Literal[1] = 1
    command: str
    before: str
    """What it is compared with, in words."""
    after: str
    rows: tuple[JudgedRow, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know, one sentence each."""
    written: str | None = None
    """The file that would make this the new baseline."""
    remedy: str | None = None
    """What to do where the exit code is not 0, in one sentence."""
    allow_inconclusive: bool = False
    false_alarms: float | None = VOTE_FALSE_ALARMS
    """Of the rule that judged times: its chance to call a row that did not change; None: not measured."""
    seconds: float = 0.0
    """That all of it took."""
    enforced: bool = True
    """False: this is a report alone, which ends with 0 whatever it found."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return self.finding if self.enforced else ExitCode.OK

    @property
    def finding(self) -> ExitCode:
        """By the precedence of `vlbench.judging.exit_codes`, over the rows that gate; `MISSING` without any."""
        return worst((row.verdict for row in self.rows if row.gates), allow_inconclusive=self.allow_inconclusive)
