"""The bench of a whole tower: its weights, its inputs, and every variant of it checked against the reference tower."""

import copy
import time
from functools import partial

import torch
from torch import nn

from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import Parts
from vlbench.implementations.preprocessing import Images
from vlbench.implementations.stage import stage
from vlbench.implementations.weights import SharedTensors, load_checkpoint, random_weights
from vlbench.towers.models import find_model
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower, mismatch
from vlbench.trial.accuracy import Input, Judge, Judged, awkward_input
from vlbench.trial.churn import churn_inputs
from vlbench.trial.counts import count, is_compiled
from vlbench.trial.fitting import check_fits, check_tokens
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.subject import Cache, Inputs, Subject, slowed
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.workload.batch import build_batch
from vlbench.workload.scenario import ScenarioPoint


class TowerBench:
    """All variants of one model on one batch, sharing one set of weights.

    The reference tower is the frozen baseline where the model is one of ours, else the tower that the model names: then
    its module's own weights are shared with every other whose state dict has the same keys and shapes.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.dtype: torch.dtype = getattr(torch, job.dtype)
        self.device = torch.device(job.device)
        self.yardstick = resolve_tower(job.model)
        self.towers = {
            each.name: self.yardstick if each.tower == job.model else resolve_tower(each.tower)
            for each in job.variants
            if each.tower
        }
        assert isinstance(job.point, ScenarioPoint)
        with stage("preprocess"):
            fed = self.yardstick.fed
            batch = build_batch(job.point, seed=job.seed, fed=fed, images=job.images)
        self.description = batch.description
        self.grids = batch.grids
        check_fits(self.yardstick, self.towers.values(), self.grids)
        self.weights = self._weights()
        # The golden run sees what the timed run sees: weights and pixels rounded to the timed dtype, then widened.
        same = self.dtype is torch.float32
        self.exact_weights = self.weights if same else _widened(self.weights)
        self.timed = Input(batch.pixels.to(self.device, self.dtype), batch.grid_thw)
        self.inputs = Inputs(
            [self.timed],
            churn_inputs(batch.grids, fed, self.dtype, self.device, job.seed),
            novel=lambda number: self.timed.turned(number + 1),
        )
        others = [awkward_input(fed, self.device, job.seed).to(self.dtype)]
        for point in job.also_check:
            more = build_batch(point, seed=job.seed, fed=fed)
            others.append(Input(more.pixels.to(self.device, self.dtype), more.grid_thw))
        golden, yardstick = self._references()
        merge = None if isinstance(fed, Images) else fed.merge_size
        self.judge = Judge([self.timed, *others], self.dtype, golden, yardstick, merge)

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """Its accuracy, and the variant, warm for the batch, if it passed."""
        tower: nn.Module | None = None
        first_seconds = 0.0

        def timed() -> nn.Module:
            nonlocal tower, first_seconds
            tower = self._variant(variant, self.weights, self.dtype)
            first_seconds = self._first_call(tower)
            return tower

        def in_fp32() -> nn.Module:
            if self.exact_weights is self.weights:
                return timed()
            return self._variant(variant, self.exact_weights, torch.float32)

        accuracy = self.judge.check(variant.exactness, in_fp32, timed)
        if not accuracy.passed or tower is None:
            return Checked(variant=variant.name, accuracy=accuracy), None
        run = slowed(partial(_run, tower), variant.slow_down)
        with torch.inference_mode():
            run(copy.deepcopy(self.timed))  # so that caches are warm for this very batch
        # Under the counter compiled code runs eager, and its counts would be those of something else.
        counts = None if is_compiled(tower) else count(partial(run, copy.deepcopy(self.timed)))
        caches: dict[str, Cache] = getattr(tower, "caches", dict)()
        subject = Subject(run, tuple(caches.values()))
        checked = Checked(variant=variant.name, accuracy=accuracy, counts=counts, first_seconds=first_seconds)
        return checked, subject

    def allowed(self, exactness: str) -> dict[str, float]:
        """Largest relative error of each part to the reference tower's in one round; 0: equal bits."""
        return self.judge.allowed(exactness, timed=1)

    def _weights(self) -> SharedTensors:
        """What all share: drawn or from the checkpoint where the reference tower computes a model of ours, else its
        own."""
        job, tower = self.job, self.yardstick
        if tower.model is None:
            if job.weights:
                raise UsageError(f"--weights: {tower.name} is none of our models and brings its own; leave it out")
            return SharedTensors(tower.module(self.device, self.dtype).state_dict())
        config = find_model(tower.model)
        if job.weights:
            check_checkpoint(job.weights)
        made = (
            load_checkpoint(job.weights, config, self.dtype)
            if job.weights
            else random_weights(config, job.seed, self.dtype)
        )
        if self.device.type == "cpu":
            return made
        return SharedTensors({key: tensor.to(self.device) for key, tensor in made.items()})

    def _references(self) -> tuple[Judged, Judged]:
        """What is judged by: the reference tower in fp32, and in the timed dtype."""
        golden = self._build(self.yardstick, self.exact_weights, torch.float32)
        if self.job.model not in MODELS:
            check_tokens(self.yardstick, golden, self.timed.to(torch.float32))
        same = self.dtype is torch.float32
        return golden, golden if same else self._build(self.yardstick, self.weights, self.dtype)

    def _variant(self, variant: VariantJob, weights: SharedTensors, dtype: torch.dtype) -> nn.Module:
        if variant.name in self.towers:
            return self._build(self.towers[variant.name], weights, dtype)
        return build_tower(find_model(self.job.model), variant.flags, weights)

    def _build(self, tower: Tower, weights: SharedTensors, dtype: torch.dtype) -> nn.Module:
        """The tower with these weights; where the reference tower is none of our models, with its own if they do not
        fit."""
        if self.yardstick.model or tower.load:
            return tower.build(self.device, dtype, weights)
        module = tower.module(self.device, dtype)
        if mismatch(module, weights) is None:
            module.load_state_dict(weights, assign=True)
        return tower.adapted(module)

    def _first_call(self, tower: nn.Module) -> float:
        own = copy.deepcopy(self.timed)
        start = time.perf_counter()
        with torch.inference_mode():
            own.output(tower)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def _run(tower: nn.Module, entry: Input) -> Parts:
    return entry.output(tower)


def _widened(weights: SharedTensors) -> SharedTensors:
    return SharedTensors({key: each.float() if each.is_floating_point() else each for key, each in weights.items()})
