"""The bench of a whole tower: its weights, its inputs, and every variant of it checked against the reference tower."""

import copy
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from vlbench.implementations.adapted import HandedIn, handed_over
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import Parts
from vlbench.implementations.preprocessing import Images
from vlbench.implementations.stage import stage
from vlbench.trial.accuracy import Input, Judge, Judged, awkward_inputs
from vlbench.trial.churn import churn_inputs
from vlbench.trial.clock import clock_for
from vlbench.trial.counts import count, is_compiled
from vlbench.trial.fitting import check_fits, check_tokens
from vlbench.trial.identity import digest_of_inputs, digest_of_weights
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.store import Store
from vlbench.trial.subject import Cache, Inputs, Subject, slowed
from vlbench.trial.tower_set import TowerSet
from vlbench.workload.batch import Batch, as_fed, build_batch
from vlbench.workload.scenario import ScenarioPoint


class TowerBench(TowerSet):
    """The towers of a job on one batch, each checked against the reference tower."""

    judges = True
    """False: nothing is judged before `begin_to_judge`, so that the reference tower has not been called yet."""

    def __init__(self, job: Job, store: Store, tell: Callable[[str], None] = lambda batch: None) -> None:
        """The reference tower's outputs lie in `store`.

        `tell` is told what is fed in, before any tower is called with it, which may take long.
        """
        super().__init__(job)
        assert isinstance(job.point, ScenarioPoint)
        with stage("preprocess"):
            fed, batch = self.reference.fed, self._batch(job.point)
        self.description = batch.description
        if calls := len(job.point.calls):
            self.description = f"{calls:,} recorded calls, most often of {batch.description}"
        tell(self.description)
        self.grids = batch.grids
        self.fed, self.weights_digest = digest_of_inputs(batch.pixels, batch.grids), digest_of_weights(self.weights)
        replayed = (grid for call in job.point.calls for grid in as_fed(call, fed))
        check_fits(self.reference, self.towers.values(), [*self.grids, *replayed])
        self.timed = Input(batch.pixels.to(self.device, self.dtype), batch.grid_thw)
        self.inputs = Inputs(
            [self.timed],
            churn_inputs(batch.grids, fed, self.dtype, self.device, job.seed, job.secret, job.point.calls),
            novel=lambda number: self.timed.turned(number, job.secret),
        )
        self.checked_on, self.store = [self.timed, *(entry.to(self.dtype) for entry in self._others())], store
        if self.judges:
            self.begin_to_judge()

    def _batch(self, point: ScenarioPoint) -> Batch:
        """What is timed, on the host."""
        return build_batch(point, seed=self.job.seed, fed=self.reference.fed, images=self.job.images)

    def _others(self) -> list[Input]:
        """What accuracy is checked on beside it, in fp32 on the device."""
        if self.job.briefly:
            return []
        fed, seed = self.reference.fed, self.job.seed
        batches = [build_batch(point, seed=seed, fed=fed) for point in self.job.also_check]
        more = [Input(each.pixels.to(self.device), each.grid_thw) for each in batches]
        return awkward_inputs(fed, self.device, seed) + more

    def begin_to_judge(self) -> None:
        """Call the reference tower on all that accuracy is checked on."""
        golden, reference_tower = self._references()
        fed = self.reference.fed
        merge = None if isinstance(fed, Images) else fed.merge_size
        self.judge = Judge(self.checked_on, self.dtype, golden, reference_tower, merge, self.store)

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """Its accuracy, and the variant, warm for the batch, if it passed."""
        tower: nn.Module | None = None
        first_seconds = 0.0

        def timed() -> nn.Module:
            nonlocal tower, first_seconds
            tower = self.variant(variant, exact=False)
            first_seconds = self._first_call(tower)
            return tower

        def in_fp32() -> nn.Module:
            if self.exact_weights is self.weights:
                return timed()
            return self.variant(variant, exact=True)

        accuracy = self.judge.check(variant.exactness, in_fp32, timed)
        if not accuracy.passed or tower is None:
            return Checked(variant=variant.name, accuracy=accuracy), None
        subject = self.warm(tower, variant)
        # Under the counter compiled code runs eager, and its counts would be those of something else.
        own = copy.deepcopy(self.timed)
        own = handed(tower, own) if isinstance(tower, HandedIn) else own  # its plan is no part of the call
        counts = None if is_compiled(tower) else count(partial(subject.run, own))
        checked = Checked(variant=variant.name, accuracy=accuracy, counts=counts, first_seconds=first_seconds)
        return checked, subject

    def another(self, variant: VariantJob) -> Subject:
        """A further instance of a variant that passed: a tower of its own on the same weights, called once."""
        return self.warm(self.variant(variant, exact=False), variant)

    def allowed(self, exactness: str) -> dict[str, float]:
        """Largest relative error of each part to the reference tower's in one round; 0: equal bits."""
        return self.judge.allowed(exactness, timed=1)

    def _references(self) -> tuple[Judged, Judged]:
        """What is judged by: the reference tower in fp32, and in the timed dtype."""
        golden = self._build(self.reference, self.exact_weights, torch.float32)
        if self.job.model not in MODELS:
            check_tokens(self.reference, golden, self.timed.to(torch.float32))
        same = self.dtype is torch.float32
        return golden, golden if same else self._build(self.reference, self.weights, self.dtype)

    def warm(self, tower: nn.Module, variant: VariantJob) -> Subject:
        """The tower to be timed, with caches warm for the timed batch."""
        run = slowed(partial(_run, tower), variant)
        with torch.inference_mode():
            seconds = clock_for(self.device.type)(partial(run, copy.deepcopy(self.timed))).seconds
        caches: dict[str, Cache] = getattr(tower, "caches", dict)()
        return Subject(run, tuple(caches.values()), partial(handed, tower), warm_seconds=seconds)

    def _first_call(self, tower: nn.Module) -> float:
        own = copy.deepcopy(self.timed)
        start = time.perf_counter()
        with torch.inference_mode():
            own.output(tower)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def handed(tower: nn.Module, entry: Input) -> Input:
    """The input with its grids on the device where the tower would only send them there; with a plan where one is
    handed in, and the seconds that making it took."""
    grid_thw = handed_over(tower, entry.pixels, entry.grid_thw)
    if not isinstance(tower, HandedIn):
        return Input(entry.pixels, grid_thw)
    made = clock_for(entry.pixels.device.type)(partial(tower.plan, grid_thw))
    return Input(entry.pixels, grid_thw, made.output, made.seconds)


def _run(tower: nn.Module, entry: Input) -> Parts:
    return entry.output(tower)
