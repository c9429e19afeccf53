"""How often each rule calls identical programs different, and how often it catches what was injected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vlbench.record.schema import CellGroup, Row
from vlbench.selftest.other_rules import RULES, Times, decisions
from vlbench.selftest.verdicts import first_vote, report

OURS = "vlbench, 4 of 5 paired trials beyond 1 %, confirmed"


@dataclass
class Score:
    """A rule's decisions by injected slow-down: how many of how many."""

    rule: str
    hits: dict[float, int] = field(default_factory=dict)
    cases: dict[float, int] = field(default_factory=dict)

    def add(self, slow_down: float, hit: bool) -> None:
        self.hits[slow_down] = self.hits.get(slow_down, 0) + hit
        self.cases[slow_down] = self.cases.get(slow_down, 0) + 1

    def rate(self, slow_down: float) -> float | None:
        """False alarms for 0, else the share caught; None where nothing was compared."""
        cases = self.cases.get(slow_down, 0)
        return self.hits[slow_down] / cases if cases else None


def scores(groups: Sequence[CellGroup]) -> list[Score]:
    """Every rule of another tool, then ours, on the same samples.

    Others see the trials of the first vote alone, in warm caches; ours is the verdict at the end.
    """
    found = []
    for rule in RULES:
        score = Score(rule.name)
        for row, before, after in _rows(groups):
            for decision in decisions(rule, before, after):
                score.add(row.slow_down, decision > 0 if row.slow_down else decision != 0)
        found.append(score)
    whole = report(groups)
    hits = {tally.slow_down: tally.hits for tally in whole.tallies}
    return [*found, Score(OURS, hits, {tally.slow_down: tally.cases for tally in whole.tallies})]


def _rows(groups: Sequence[CellGroup]) -> Iterator[tuple[Row, list[Times], list[Times]]]:
    """Every row but the yardsticks, with the calls of its reference and its own, by trial."""
    for group in groups:
        for row in group.rows[1:]:
            pairs = [
                (reference.timings["warm"].seconds, variant.timings["warm"].seconds)
                for trial in first_vote(group).trials
                if (reference := trial.find(row.reference)) and (variant := trial.find(row.name))
                if "warm" in reference.timings and "warm" in variant.timings
            ]
            yield row, [before for before, _ in pairs], [after for _, after in pairs]
