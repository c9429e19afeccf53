"""What a published claim comes to here: re-enacted, contradicted, not shown, or in need of what is not at hand."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.summary import Summary
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.base import Checksummed, Record
from vlbench.record.counted import CountedTower
from vlbench.record.counts import Counts, Tally
from vlbench.workload.cases import Claim, Counted, Timed


class Finding(StrEnum):
    """How a claim fares."""

    RE_ENACTED = "re-enacted"
    CONTRADICTS = "contradicts"
    NOT_SHOWN = "not shown"
    """Measured, and the interval leaves it open; or it could not be measured as asked."""
    NEEDS = "not at hand"
    """It takes what is not here, such as a GPU."""


class Found(Record):
    """One claim with its verdict and the evidence for it."""

    finding: Finding
    says: str
    published: str
    source: str
    ours: str
    """The evidence in words, or what is missing."""
    why: str = ""
    """Where it contradicts, and the reason is known: why."""


class CaseReport(Checksummed):
    """A published result and what came of its claims."""

    schema_version: Literal[1] = 1
    case: str
    title: str
    source: str
    about: str
    vlbench: str
    profile: str
    """What counts were made as."""
    counted: dict[str, dict[str, Tally | None]]
    """The second forward of each set, by counting; None for one that could not be counted whole."""
    found: tuple[Found, ...]
    models: dict[str, str]
    """Whose tower was counted, by counting."""
    inaccurate: tuple[str, ...] = ()
    """Rows that were not timed, since their result is wrong."""
    without_times: tuple[str, ...] = ()
    """Rows that claims are about and that could not be timed."""

    @property
    def exit_code(self) -> ExitCode:
        """5 where a row is wrong, 6 where one could not be counted or timed; a claim that is contradicted is a
        finding."""
        if self.inaccurate:
            return ExitCode.INACCURATE
        whole = all(tally for sets in self.counted.values() for tally in sets.values())
        return ExitCode.OK if whole and not self.without_times else ExitCode.MISSING


def judge_claim(
    claim: Claim,
    counted: Mapping[tuple[str, str], CountedTower],
    timed: Mapping[tuple[str, str], Summary],
    machines: Mapping[str, str],
) -> Found:
    """The verdict on a claim, by towers and rows under the names of (where, set).

    `machines` says on what each timing was made; one that is not among them takes a GPU, and there is none.
    """
    why = ""
    if claim.counted:
        finding, ours = _by_counts(claim.counted, counted)
    elif claim.timed and claim.timed.at in machines:
        finding, ours = _by_times(claim.timed, timed, machines[claim.timed.at])
    else:
        finding, ours = Finding.NEEDS, f"it takes {claim.needs or 'a GPU, where this case times it'}"
    if finding is Finding.CONTRADICTS:
        why = claim.why
    return Found(finding=finding, says=claim.says, published=claim.published, source=claim.source, ours=ours, why=why)


def _by_counts(by: Counted, counted: Mapping[tuple[str, str], CountedTower]) -> tuple[Finding, str]:
    both = []
    for name in (by.against, by.of):
        tower = counted[by.at, name]
        if tower.failed or tower.warm is None or not tower.complete:
            return Finding.NOT_SHOWN, f"{name} could not be counted whole: {tower.failed or 'an operation is unknown'}"
        both.append(_amount(tower.warm.counts, by))
    before, after = both
    if before is None and after is None:
        return Finding.NOT_SHOWN, f"neither {by.against} nor {by.of} has {by.operation or f'a stage {by.stage}'}"
    before, after = before or 0, after or 0
    change = (after - before) / before if before else 0.0
    what = f"{by.operation} operations" if by.operation else by.counter.replace("_", " ")
    told = f"{what}{f' of stage {by.stage}' if by.stage else ''}: {before:,} -> {after:,}"
    if before and before != after:
        told += f" ({change:+.0%})"
    return Finding.RE_ENACTED if _as_expected(by, before, after) else Finding.CONTRADICTS, told


def _as_expected(by: Counted, before: int, after: int) -> bool:
    if by.expect == "is":
        return after == by.exactly
    if by.expect == "stays":
        return after == before
    fell = before - after if by.expect == "falls" else after - before
    share = fell / before if before else float(fell > 0)
    return fell > 0 and share >= by.least and (by.most is None or share <= by.most)


def _amount(counts: Counts, by: Counted) -> int | None:
    """None where there is no such operation or stage, which may be misspelt."""
    if by.operation:
        found = [times for name, times in counts.operations.items() if name.split("::")[-1] == by.operation]
        return sum(found) if found else None
    tally = counts.stages.get(by.stage) if by.stage else counts.total
    return None if tally is None else int(getattr(tally, by.counter))


def _by_times(by: Timed, timed: Mapping[tuple[str, str], Summary], machine: str) -> tuple[Finding, str]:
    row = timed.get((by.at, by.of))
    if row is None or row.estimate is None:
        return Finding.NOT_SHOWN, f"{by.of} has no times: {row.judgement.reason if row else 'it was not measured'}"
    change = row.estimate
    told = f"{1 / change.ratio:.2f}x [{1 / change.high:.2f}, {1 / change.low:.2f}] on {machine}"
    found = "no change" if row.judgement.verdict is Verdict.SAME or _is_within(row) else row.effect
    if found == "unclear":
        return Finding.NOT_SHOWN, f"{told}: {row.judgement.reason}"
    enough = by.expect == "no change" or 1 - change.ratio >= by.least
    return Finding.RE_ENACTED if found == by.expect and enough else Finding.CONTRADICTS, told


def _is_within(row: Summary) -> bool:
    """Does the whole interval of a vote lie within the threshold on both sides? That is an equivalence test (TOST), and
    says no less than a verdict for which a change of that size would have shown."""
    seen, most = row.estimate, 1 + Floors().threshold
    return seen is not None and not row.is_quick and 1 / most <= seen.low and seen.high <= most
