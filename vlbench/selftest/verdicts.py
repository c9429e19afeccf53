"""The harness judged by its own results: its false alarms, and how often it catches what was injected."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.identical import interval, upper_bound
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import CALLED, Floors, Verdict
from vlbench.record.schema import CellGroup

GOAL_SLOW_DOWN = 0.03
GOAL_POWER = 0.95
"""Of the goal's slow-downs, this share has to be caught: 57 of 60."""
DETECTED = 0.8
"""A slow-down is detectable where this share of it is caught: the usual power."""
JUDGED = (*CALLED, Verdict.SAME, Verdict.INCONCLUSIVE)


@dataclass
class Tally:
    """The verdicts on all rows with the same injected slow-down; 0 for identical programs."""

    slow_down: float
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    ratios: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    """The smallest change that each row says it would have shown."""

    @property
    def cases(self) -> int:
        """Rows with a verdict; what is missing or inaccurate proves nothing."""
        return sum(self.verdicts[verdict] for verdict in JUDGED)

    @property
    def hits(self) -> int:
        """False alarms, or slow-downs caught: called faster is neither caught nor excused."""
        wanted = (Verdict.REGRESSED,) if self.slow_down else CALLED
        return sum(self.verdicts[verdict] for verdict in wanted)

    @property
    def rate(self) -> float:
        """Hits as a share of the cases, of which there has to be one."""
        return self.hits / self.cases

    @property
    def bounds(self) -> tuple[float, float]:
        """Clopper-Pearson at 95 %: for false alarms the upper bound alone, for slow-downs both."""
        return interval(self.hits, self.cases) if self.slow_down else (0.0, upper_bound(self.hits, self.cases))

    @property
    def measured(self) -> float | None:
        """Median ratio of its rows."""
        return median(self.ratios) if self.ratios else None


@dataclass(frozen=True)
class Report:
    """What a self-test showed."""

    groups: int
    tallies: tuple[Tally, ...]
    """By slow-down, identical programs first."""
    groups_with_false_alarm: int
    shapes: dict[str, tuple[int, int, int, int]]
    """By what was run: identical programs called, and all of them; slow-downs of the goal caught, and all of them."""
    first_vote_false_alarms: int
    """Identical programs that the first vote called; measuring suspects again dismisses some."""

    @property
    def identical(self) -> Tally:
        """That of identical programs."""
        return self.tallies[0]

    @property
    def smallest_caught(self) -> float | None:
        """The smallest injected slow-down from which on each was caught in four cases of five; None without one."""
        seen = None
        for tally in reversed(self.tallies[1:]):
            if not tally.cases or tally.rate < DETECTED:
                break
            seen = tally.slow_down
        return seen

    @property
    def visible(self) -> float | None:
        """Median of the smallest change that rows of identical programs say they would have shown."""
        return median(self.identical.visible) if self.identical.visible else None

    @property
    def met(self) -> bool:
        """No false alarm, and enough of the goal's slow-downs caught; with nothing compared, nothing is met."""
        goal = next((tally for tally in self.tallies if tally.slow_down == GOAL_SLOW_DOWN), None)
        if not (self.identical.cases and goal and goal.cases):
            return False
        return self.identical.hits == 0 and goal.rate >= GOAL_POWER

    @property
    def exit_code(self) -> ExitCode:
        """0 where the goal is met, else 3; 5 or 6 where rows are inaccurate or missing: then too little is known."""
        lost = [verdict for tally in self.tallies for verdict in tally.verdicts if verdict not in JUDGED]
        return worst([*lost, Verdict.SAME if self.met else Verdict.REGRESSED])


def report(groups: Sequence[CellGroup], floors: Floors | None = None) -> Report:
    """Tallies of every row but the reference towers, by what was injected."""
    floors = floors or Floors()
    tallies = {0.0: Tally(0.0)}
    groups_with_alarm, first_alarms = 0, 0
    shapes: dict[str, tuple[int, int, int, int]] = {}
    for group in groups:
        alarms = 0
        first = summaries(group, floors, first=True)
        for each, before in zip(summaries(group, floors)[1:], first[1:], strict=True):
            _add(tallies.setdefault(each.row.slow_down, Tally(each.row.slow_down)), each)
            if not each.row.slow_down:
                alarms += each.judgement.verdict in CALLED
                first_alarms += before.judgement.verdict in CALLED
        groups_with_alarm += alarms > 0
        shape = group.point.partition(", group=")[0]
        counted = _by_shape(summaries(group, floors)[1:])
        shapes[shape] = tuple(map(sum, zip(shapes.get(shape, (0, 0, 0, 0)), counted, strict=True)))  # type: ignore[assignment]
    ordered = tuple(tallies[share] for share in sorted(tallies))
    return Report(len(groups), ordered, groups_with_alarm, shapes, first_alarms)


def _by_shape(rows: Sequence[Summary]) -> tuple[int, int, int, int]:
    judged = [each for each in rows if each.judgement.verdict in JUDGED]
    same = [each.judgement.verdict in CALLED for each in judged if not each.row.slow_down]
    slower = [each.judgement.verdict is Verdict.REGRESSED for each in judged if each.row.slow_down == GOAL_SLOW_DOWN]
    return sum(same), len(same), sum(slower), len(slower)


def _add(tally: Tally, each: Summary) -> None:
    tally.verdicts[each.judgement.verdict] += 1
    if each.estimate is not None:
        tally.ratios.append(each.estimate.ratio)
    if each.judgement.visible is not None:
        tally.visible.append(each.judgement.visible)
