"""The bench of a whole tower: its weights, its inputs, and every variant of it checked against the yardstick."""

from __future__ import annotations

import copy
import time
from functools import partial

import torch
from torch import Tensor, nn

from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.stage import stage
from vlbench.implementations.weights import SharedTensors, load_checkpoint, random_weights
from vlbench.matrix.models import find_model
from vlbench.trial.accuracy import FP32_LIMITS, Input, Judge, awkward_input
from vlbench.trial.churn import churn_inputs
from vlbench.trial.counts import count
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.subject import Cache, Inputs, Subject, slowed
from vlbench.workload import ScenarioPoint, build_batch


class TowerBench:
    """All variants of one model on one batch, sharing one set of weights."""

    def __init__(self, job: Job) -> None:
        self.config: VisionConfig = find_model(job.model)
        self.dtype: torch.dtype = getattr(torch, job.dtype)
        self.device = torch.device(job.device)
        assert isinstance(job.point, ScenarioPoint)
        with stage("preprocess"):
            batch = build_batch(job.point, seed=job.seed, images=job.images)
        self.description = batch.description
        self.grids = batch.grids
        self.weights = _weights(job, self.config, self.dtype, self.device)
        # The golden run sees what the timed run sees: weights and pixels rounded to the timed dtype, then widened.
        same = self.dtype is torch.float32
        self.exact_weights = self.weights if same else SharedTensors({k: v.float() for k, v in self.weights.items()})
        self.timed = Input(batch.pixels.to(self.device, self.dtype), batch.grid_thw)
        self.inputs = Inputs(
            [self.timed],
            churn_inputs(batch.grids, self.config.patch_dim, self.dtype, self.device, job.seed),
            novel=lambda number: self.timed.turned(number + 1),
        )
        others = [awkward_input(self.config.patch_dim, self.device, job.seed).to(self.dtype)]
        for point in job.also_check:
            more = build_batch(point, seed=job.seed)
            others.append(Input(more.pixels.to(self.device, self.dtype), more.grid_thw))
        golden = build_tower(self.config, None, self.exact_weights)
        yardstick = golden if same else build_tower(self.config, None, self.weights)
        self.judge = Judge([self.timed, *others], self.dtype, golden, yardstick)

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        tower: nn.Module | None = None
        first_seconds = 0.0

        def timed() -> nn.Module:
            nonlocal tower, first_seconds
            tower = build_tower(self.config, variant.flags, self.weights)
            first_seconds = self._first_call(tower)
            return tower

        def in_fp32() -> nn.Module:
            if self.exact_weights is self.weights:
                return timed()
            return build_tower(self.config, variant.flags, self.exact_weights)

        accuracy = self.judge.check(variant.exactness, in_fp32, timed)
        if not accuracy.passed or tower is None:
            return Checked(variant=variant.name, accuracy=accuracy), None
        run = slowed(partial(_run, tower), variant.slow_down)
        with torch.inference_mode():
            run(copy.deepcopy(self.timed))  # so that caches are warm for this very batch
        counts = count(partial(run, copy.deepcopy(self.timed)))
        caches: dict[str, Cache] = getattr(tower, "caches", dict)()
        subject = Subject(run, tuple(caches.values()), counts, first_seconds)
        checked = Checked(variant=variant.name, accuracy=accuracy, counts=counts, first_seconds=first_seconds)
        return checked, subject

    def allowed(self, exactness: str) -> float:
        """In fp32 what the class allows; else both may be off by what they were allowed to be off from fp32."""
        if self.dtype is torch.float32:
            return FP32_LIMITS[exactness]
        return self.judge.limits[0] * 2

    def _first_call(self, tower: nn.Module) -> float:
        own = copy.deepcopy(self.timed)
        start = time.perf_counter()
        with torch.inference_mode():
            tower(own.pixels, own.grid_thw)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def _run(tower: nn.Module, entry: Input) -> Tensor:
    output: Tensor = tower(entry.pixels, entry.grid_thw)
    return output


def _weights(job: Job, config: VisionConfig, dtype: torch.dtype, device: torch.device) -> SharedTensors:
    made = load_checkpoint(job.weights, config, dtype) if job.weights else random_weights(config, job.seed, dtype)
    return made if device.type == "cpu" else SharedTensors({key: tensor.to(device) for key, tensor in made.items()})
