"""The bench of either side of a lock-step pair: HEAD is given BASE's weights, and judged by what BASE made of them.

Both sides make their inputs themselves, from one seed; the weights and BASE's outputs travel in a file.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from vlbench.errors import UsageError
from vlbench.implementations.output import Parts, VisionOutput, packed, unpack
from vlbench.implementations.preprocessing import as_fields, difference
from vlbench.implementations.weights import SharedTensors
from vlbench.towers.tower import mismatch
from vlbench.trial.accuracy import Judged
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.store import Store, kept
from vlbench.trial.subject import Subject
from vlbench.trial.tower_bench import TowerBench

WEIGHTS, OUTPUTS = "weights", "outputs"


class LeadingBench(TowerBench):
    """BASE's: it leaves its weights, and its outputs for every input that accuracy is checked on."""

    def __init__(self, job: Job, store: Store, exchange: Path) -> None:
        self._kept: list[list[Parts]] = []
        super().__init__(job, store)
        # pickled, since tensors of a tower may share memory, which safetensors does not take
        torch.save(dict(self.weights), exchange / WEIGHTS)
        torch.save({"outputs": self._kept, "fed": as_fields(self.reference.fed)}, exchange / OUTPUTS)

    def _references(self) -> tuple[Judged, Judged]:
        golden, reference_tower = super()._references()
        return self._keeping(golden), self._keeping(reference_tower)

    def _keeping(self, tower: Judged) -> Judged:
        outputs: list[Parts] = []
        self._kept.append(outputs)

        def call(*arguments: Any) -> Any:
            parts = unpack(tower(*arguments))
            outputs.append(kept(parts))
            return packed(parts)

        return call


class FollowingBench(TowerBench):
    """HEAD's: it takes BASE's weights where they fit, and BASE's outputs are what its own are held against."""

    def __init__(self, job: Job, store: Store, exchange: Path) -> None:
        self.exchange = exchange
        self.own_weights: str | None = None
        """Why it does not take BASE's weights, None where it does."""
        super().__init__(job, store)

    def _weights(self) -> SharedTensors:
        given = SharedTensors(self._load(WEIGHTS))
        if self.reference.model or self.reference.load:
            return given
        module = self.reference.module(self.device, self.dtype)
        self.own_weights = mismatch(module, given)
        return given if self.own_weights is None else SharedTensors(module.state_dict())

    def _references(self) -> tuple[Judged, Judged]:
        left = self._load(OUTPUTS)
        (self.exchange / OUTPUTS).unlink()  # from here on they lie in the store
        if differs := difference(as_fields(self.reference.fed), left["fed"]):
            field, mine, theirs = differs
            raise UsageError(f"{self.reference.name}: its {field} is {mine}, and BASE's {theirs}; make them agree")
        golden, reference_tower = (replayed(outputs) for outputs in left["outputs"])
        return golden, reference_tower

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        checked, subject = super().check(variant)
        accuracy = checked.accuracy
        if accuracy.passed or self.own_weights is None:
            return checked, subject
        reason = f"{accuracy.reason}; it has weights of its own, since of BASE's {self.own_weights}"
        return checked.model_copy(update={"accuracy": accuracy.model_copy(update={"reason": reason})}), subject

    def _load(self, name: str) -> Any:
        return torch.load(self.exchange / name, map_location=self.device, weights_only=True)


def replayed(outputs: Sequence[Parts]) -> Judged:
    """Gives what another process gave when it was asked in the same order; then all again, which is poisoned by then.

    A reference that is not finite is called once more, to find the stage that it stops at.
    """
    given = cycle(outputs)

    def call(*_: Any) -> VisionOutput:
        return packed(next(given))

    return call
