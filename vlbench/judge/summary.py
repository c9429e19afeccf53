"""A cell group as rows to show: each variant's times and its speed-up with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from vlbench.judge.paired import Estimate, paired_ratio
from vlbench.record.schema import CellGroup, VariantResult


@dataclass(frozen=True)
class Row:
    """One variant as it is shown."""

    variant: VariantResult
    median_ms: float | None = None
    estimate: Estimate | None = None
    """Time of the variant / time of the yardstick; None for the yardstick and for rows without times."""

    @property
    def effect(self) -> str:
        """ "faster" or "slower" where the interval excludes 1, else "unclear"."""
        if self.estimate is None or self.estimate.low <= 1 <= self.estimate.high:
            return "unclear"
        return "faster" if self.estimate.high < 1 else "slower"


def rows_of(group: CellGroup) -> list[Row]:
    """The yardstick, then the timed variants, fastest first, then those without times."""
    timed, untimed = [], []
    for variant in group.variants[1:]:
        if variant.seconds:
            timed.append(_timed(variant, paired_ratio(variant.seconds, group.yardstick.seconds)))
        else:
            untimed.append(Row(variant))
    timed.sort(key=lambda row: row.estimate.ratio if row.estimate else 0.0)
    return [_timed(group.yardstick, None) if group.yardstick.seconds else Row(group.yardstick), *timed, *untimed]


def _timed(variant: VariantResult, estimate: Estimate | None) -> Row:
    return Row(variant, median(variant.seconds) * 1e3, estimate)
