"""The bench of either side of a lock-step pair: HEAD is given BASE's weights, and judged by what BASE made of them.

Weights, inputs and BASE's outputs travel in files, with digests: another torch, or another library of pictures, may
make others of one seed. Only what changes from round to round is drawn by each, after a look whether both draw alike.
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
from vlbench.trial.accuracy import Input, Judged
from vlbench.trial.identity import digest_of_inputs, digest_of_weights
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.store import Store, kept
from vlbench.trial.subject import Subject
from vlbench.trial.tower_bench import TowerBench
from vlbench.workload.batch import Batch
from vlbench.workload.scenario import ScenarioPoint

WEIGHTS, BATCH, OTHERS, OUTPUTS = "weights", "batch", "others", "outputs"
FEW = 64
"""Patches by which it is seen whether two processes draw alike."""


class LeavingBench(TowerBench):
    """Leaves its weights, and every input that accuracy is checked on."""

    def __init__(self, job: Job, store: Store, exchange: Path) -> None:
        self.exchange = exchange
        super().__init__(job, store)
        # pickled, since tensors of a tower may share memory, which safetensors does not take
        torch.save({"weights": dict(self.weights), "digest": self.weights_digest}, exchange / WEIGHTS)

    def _batch(self, point: ScenarioPoint) -> Batch:
        made = super()._batch(point)
        left = {"pixels": made.pixels, "grid_thw": made.grid_thw, "description": made.description}
        told = {"fed": as_fields(self.reference.fed), "drawn": _drawn(made, self.job.secret)}
        torch.save(left | told, self.exchange / BATCH)
        return made

    def _others(self) -> list[Input]:
        made = super()._others()
        torch.save([(each.pixels.cpu(), each.grid_thw) for each in made], self.exchange / OTHERS)
        return made


class LeadingBench(LeavingBench):
    """BASE's: it also leaves its outputs for every one of these inputs."""

    def __init__(self, job: Job, store: Store, exchange: Path) -> None:
        self._kept: list[list[Parts]] = []
        super().__init__(job, store, exchange)
        torch.save(self._kept, exchange / OUTPUTS)

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
    """HEAD's: it takes BASE's inputs, and its weights where they fit; BASE's outputs are what its own are held against.

    Raises UsageError where it is fed otherwise, where it reads other values than were left, and where it would draw
    others for the rounds.
    """

    def __init__(self, job: Job, store: Store, exchange: Path) -> None:
        self.exchange = exchange
        self.own_weights: str | None = None
        """Why it does not take BASE's weights, None where it does."""
        super().__init__(job, store)

    def _weights(self) -> SharedTensors:
        left = self._load(WEIGHTS)
        given = SharedTensors(left["weights"])
        if digest_of_weights(given) != left["digest"]:
            raise UsageError(f"{self.reference.name}: torch {torch.__version__} reads other weights than BASE wrote")
        if self.reference.model or self.reference.load:
            return given
        module = self.reference.module(self.device, self.dtype)
        self.own_weights = mismatch(module, given)
        return given if self.own_weights is None else SharedTensors(module.state_dict())

    def _batch(self, point: ScenarioPoint) -> Batch:
        left = self._load(BATCH, "cpu")
        if differs := difference(as_fields(self.reference.fed), left["fed"]):
            field, mine, theirs = differs
            raise UsageError(f"{self.reference.name}: its {field} is {mine}, and BASE's {theirs}; make them agree")
        pixels, grid_thw = left["pixels"], left["grid_thw"]
        given = Batch(pixels, grid_thw, tuple((t, h, w) for t, h, w in grid_thw.tolist()), left["description"])
        if _drawn(given, self.job.secret) != left["drawn"]:
            told = f"torch {torch.__version__} draws other numbers from a seed than BASE's does"
            raise UsageError(f"{self.reference.name}: {told}, so that rounds would differ; take nearer versions")
        return given

    def _others(self) -> list[Input]:
        return [Input(pixels.to(self.device), grid_thw) for pixels, grid_thw in self._load(OTHERS, "cpu")]

    def _references(self) -> tuple[Judged, Judged]:
        left = self._load(OUTPUTS)
        (self.exchange / OUTPUTS).unlink()  # from here on they lie in the store
        golden, reference_tower = map(replayed, left)
        return golden, reference_tower

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        checked, subject = super().check(variant)
        accuracy = checked.accuracy
        if accuracy.passed or self.own_weights is None:
            return checked, subject
        reason = f"{accuracy.reason}; it has weights of its own, since of BASE's {self.own_weights}"
        return checked.model_copy(update={"accuracy": accuracy.model_copy(update={"reason": reason})}), subject

    def _load(self, name: str, device: str | None = None) -> Any:
        return torch.load(self.exchange / name, map_location=device or self.device, weights_only=True)


def _drawn(batch: Batch, secret: int) -> str:
    """A digest of what a round makes of a few patches."""
    return digest_of_inputs(Input(batch.pixels[:FEW], batch.grid_thw).turned(0, secret).pixels, ())


def replayed(outputs: Sequence[Parts]) -> Judged:
    """Gives what another process gave when it was asked in the same order; then all again, which is poisoned by then.

    A reference that is not finite is called once more, to find the stage that it stops at.
    """
    given = cycle(outputs)

    def call(*_: Any) -> VisionOutput:
        return packed(next(given))

    return call
