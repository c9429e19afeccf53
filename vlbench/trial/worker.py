"""The measuring process: `python -m vlbench.trial.worker` reads a job from stdin and writes events to stdout.

Order: weights and inputs, then every variant's accuracy, then rounds over those that passed, then the stages' shares.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

import torch
from torch import nn

from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import FlagError
from vlbench.implementations.stage import listen, stage
from vlbench.implementations.weights import CheckpointError, SharedTensors, load_checkpoint, random_weights
from vlbench.matrix.models import find_model
from vlbench.profiling.clock import StageClock
from vlbench.profiling.nvtx import NvtxListener, tool_attached
from vlbench.record.schema import Counts
from vlbench.trial.accuracy import Input, Judge, awkward_input
from vlbench.trial.clock import Call, clock_for
from vlbench.trial.counts import count
from vlbench.trial.job import Checked, Event, Finished, Job, Prepared, Refused, Round, Stages, Starting, VariantJob
from vlbench.trial.rounds import run_rounds, warm_up, without_collector
from vlbench.workload import build_batch

STAGE_ROUNDS = 5

Emit = Callable[[Event], None]


def run_job(job: Job, emit: Emit) -> None:
    """Do the job in this process. Raises UsageError, CheckpointError or FlagError when it cannot be done as asked."""
    torch.set_num_threads(job.threads)
    # Golden runs are fp32, and TF32 would reach the yardstick's Conv3d.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    with ExitStack() as listeners:
        if tool_attached():
            listeners.enter_context(listen(NvtxListener()))
        trial = _Trial(job)
        emit(Prepared(batch=trial.description, grids=tuple(trial.timed.grids)))
        passed: dict[str, nn.Module] = {}
        for variant in job.variants:
            emit(Starting(variant=variant.name))
            checked, tower = trial.check(variant)
            emit(checked)
            if tower is not None:
                passed[variant.name] = tower
        if job.seconds and job.variants[0].name in passed:
            calls = {name: trial.call(tower) for name, tower in passed.items()}
            _measure(job, calls, emit)
            _share(job, calls, emit)
    emit(Finished())


class _Trial:
    """The weights, the inputs and the judge of one job."""

    def __init__(self, job: Job) -> None:
        self.config: VisionConfig = find_model(job.model)
        self.dtype: torch.dtype = getattr(torch, job.dtype)
        device = torch.device(job.device)
        with stage("preprocess"):
            batch = build_batch(job.point, seed=job.seed, images=job.images)
        self.description = batch.description
        self.weights = _weights(job, self.config, self.dtype, device)
        # The golden run sees what the timed run sees: weights and pixels rounded to the timed dtype, then widened.
        same = self.dtype is torch.float32
        self.exact_weights = self.weights if same else SharedTensors({k: v.float() for k, v in self.weights.items()})
        self.timed = Input(batch.pixels.to(device, self.dtype), batch.grid_thw)
        others = [awkward_input(self.config.patch_dim, device, job.seed).to(self.dtype)]
        for point in job.also_check:
            more = build_batch(point, seed=job.seed)
            others.append(Input(more.pixels.to(device, self.dtype), more.grid_thw))
        golden = build_tower(self.config, None, self.exact_weights)
        yardstick = golden if same else build_tower(self.config, None, self.weights)
        self.judge = Judge([self.timed, *others], self.dtype, golden, yardstick)

    def check(self, variant: VariantJob) -> tuple[Checked, nn.Module | None]:
        """A variant's accuracy; its tower in the timed dtype if it passed."""
        towers: list[nn.Module] = []

        def timed() -> nn.Module:
            towers.append(build_tower(self.config, variant.flags, self.weights))
            return towers[-1]

        def in_fp32() -> nn.Module:
            return timed() if self.exact_weights is self.weights else self._exact(variant)

        accuracy = self.judge.check(variant.exactness, in_fp32, timed)
        if not accuracy.passed:
            return Checked(variant=variant.name, accuracy=accuracy), None
        return Checked(variant=variant.name, accuracy=accuracy, counts=self._counts(towers[-1])), towers[-1]

    def call(self, tower: nn.Module) -> Call:
        return lambda: tower(self.timed.pixels, self.timed.grid_thw)

    def _exact(self, variant: VariantJob) -> nn.Module:
        return build_tower(self.config, variant.flags, self.exact_weights)

    def _counts(self, tower: nn.Module) -> Counts:
        self.call(tower)()  # so that caches are warm for this very batch
        return count(self.call(tower))


def _weights(job: Job, config: VisionConfig, dtype: torch.dtype, device: torch.device) -> SharedTensors:
    made = load_checkpoint(job.weights, config, dtype) if job.weights else random_weights(config, job.seed, dtype)
    return made if device.type == "cpu" else SharedTensors({key: tensor.to(device) for key, tensor in made.items()})


def _measure(job: Job, calls: dict[str, Call], emit: Emit) -> None:
    clock = clock_for(job.device)
    with torch.inference_mode(), without_collector():
        for call in calls.values():
            warm_up(call, clock)
        for seconds in run_rounds(calls, clock, seconds=job.seconds, seed=job.seed):
            emit(Round(seconds=seconds))


def _share(job: Job, calls: dict[str, Call], emit: Emit) -> None:
    """The stages' shares, from rounds of their own: the listener would show in the times."""
    synchronize = torch.cuda.synchronize if job.device == "cuda" else lambda: None
    with torch.inference_mode(), without_collector():
        for name, call in calls.items():
            clocks = []
            for _ in range(STAGE_ROUNDS):
                clock = StageClock(synchronize)
                with listen(clock):
                    call()
                clocks.append(clock.seconds)
            seconds = {stage_name: median(one[stage_name] for one in clocks) for stage_name in clocks[0]}
            emit(Stages(variant=name, seconds=seconds))


def main() -> None:
    """Read a job, write events: one JSON object a line."""
    # Whatever a tower prints must not end up between the events.
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def emit(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")

    try:
        run_job(Job.model_validate_json(sys.stdin.read()), emit)
    except (UsageError, CheckpointError, FlagError) as error:
        emit(Refused(message=str(error)))


if __name__ == "__main__":
    main()
