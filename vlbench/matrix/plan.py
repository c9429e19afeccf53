"""Plans: cell groups to measure, one for each point of what is fed in, model, dtype and device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.record.schema import CellGroup, Device, Dtype, Row, State, Trial

if TYPE_CHECKING:
    from vlbench.towers.variants import Variant
    from vlbench.workload import ScenarioPoint
    from vlbench.workload.seam_point import SeamPoint


@dataclass(frozen=True)
class Plan:
    """One cell group to measure: what is fed in, to which model, in which variants."""

    point: ScenarioPoint | SeamPoint
    model: str
    dtype: Dtype
    device: Device
    variants: Sequence[Variant]
    seed: int = 0
    threads: int = 1
    states: tuple[State, ...] = ("warm",)
    weights: Path | None = None
    images: tuple[Path, ...] | None = None
    also_check: tuple[ScenarioPoint, ...] = ()
    own_weights: str = "random"
    """Where weights come from without `weights`."""
    stages: bool = True
    """Are the stages' shares wanted?"""

    @property
    def yardstick(self) -> str:
        return self.variants[0].name

    def group(self, trials: Sequence[Trial], lost: Sequence[str]) -> CellGroup:
        """The record of this group from its trials."""
        return CellGroup(
            scenario=self.point.scenario,
            point=self.point.label,
            model=self.model,
            dtype=self.dtype,
            device=self.device,
            why_scaled=self.point.why_scaled,
            weights=str(self.weights or self.own_weights),
            images=tuple(map(str, self.images or ())),
            seed=self.seed,
            threads=self.threads,
            rows=tuple(
                Row(
                    name=variant.name,
                    flags=variant.flags,
                    exactness=str(variant.exactness),
                    reference=variant.reference,
                    tower=variant.source,
                    left_out=variant.left_out,
                    slow_down=variant.slow_down,
                )
                for variant in self.variants
            ),
            trials=tuple(trials),
            lost=tuple(lost),
        )
