"""The towers of a job: one set of weights, and every variant built on it. What is judged by is not here."""

import torch
from torch import nn

from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.adapted import HandedIn
from vlbench.implementations.weights import SharedTensors, load_checkpoint, random_weights
from vlbench.towers.models import SEED, checkpoint_model, find_model
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower, mismatch
from vlbench.trial.job import Job, VariantJob
from vlbench.untrusted.checkpoints import check_checkpoint


class TowerSet:
    """All variants of one model, sharing one set of weights.

    The reference tower is the frozen baseline where the model is one of ours, else the tower that the model names: then
    its module's own weights are shared with every other whose state dict has the same keys and shapes.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.dtype: torch.dtype = getattr(torch, job.dtype)
        self.device = torch.device(job.device)
        if job.weights:
            check_checkpoint(job.weights)
            checkpoint_model(job.weights, None)  # may be what the job's model is
        self.reference = resolve_tower(job.model)
        self.towers: dict[str, Tower] = {}
        self.gone: dict[str, UsageError] = {}
        """Why a variant's tower cannot be had, which is its own row's failure alone."""
        for each in job.variants:
            if each.tower:
                try:
                    found = self.reference if each.tower == job.model else resolve_tower(each.tower)
                    self.towers[each.name] = found
                except UsageError as error:
                    self.gone[each.name] = error
        self.weights = self._weights()
        # The golden run sees what the timed run sees: weights and pixels rounded to the timed dtype, then widened.
        same = self.dtype is torch.float32
        self.exact_weights = self.weights if same else _widened(self.weights)

    def variant(self, variant: VariantJob, *, exact: bool) -> nn.Module:
        """A variant in fp32 where it is to be `exact`, else in the timed dtype."""
        weights, dtype = (self.exact_weights, torch.float32) if exact else (self.weights, self.dtype)
        if variant.name in self.gone:
            raise self.gone[variant.name]
        if variant.name in self.towers:
            built = self._build(self.towers[variant.name], weights, dtype)
        else:
            built = build_tower(find_model(self.job.model), variant.flags, weights)
        return built if variant.plan == "inside" else HandedIn(built, host_lengths=variant.plan == "host")

    def _weights(self) -> SharedTensors:
        """What all share: drawn or from the checkpoint where the reference tower computes a model of ours, else its
        own."""
        job, tower = self.job, self.reference
        if tower.model is None:
            if job.weights:
                raise UsageError(f"--weights: {tower.name} is none of our models and brings its own; leave it out")
            with torch.random.fork_rng():
                torch.manual_seed(SEED)  # the same in every process, whatever its factory draws from
                return SharedTensors(tower.module(self.device, self.dtype).state_dict())
        config, dtype = find_model(tower.model), self.dtype
        made = load_checkpoint(job.weights, config, dtype) if job.weights else random_weights(config, job.seed, dtype)
        if self.device.type == "cpu":
            return made
        return SharedTensors({key: tensor.to(self.device) for key, tensor in made.items()})

    def _build(self, tower: Tower, weights: SharedTensors, dtype: torch.dtype) -> nn.Module:
        """The tower with these weights; where the reference tower is none of our models, with its own if they do not
        fit."""
        if self.reference.model or tower.load:
            return tower.build(self.device, dtype, weights)
        module = tower.module(self.device, dtype)
        if mismatch(module, weights) is None:
            module.load_state_dict(weights, assign=True)
        return tower.adapted(module)


def _widened(weights: SharedTensors) -> SharedTensors:
    return SharedTensors({key: each.float() if each.is_floating_point() else each for key, each in weights.items()})
