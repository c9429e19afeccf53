"""The measuring process: `python -m vlbench.trial.worker` reads a job from stdin and writes events to stdout.

Order: weights and inputs, then every variant's accuracy, then rounds over those that passed, then the stages' shares.
"""

import random
import resource
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch

from vlbench.errors import UsageError
from vlbench.implementations.optimized import FlagError
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import CheckpointError
from vlbench.nsys.child import window
from vlbench.process.parent import Parent, serve
from vlbench.profiling.clock import StageClock, time_stages
from vlbench.profiling.nvtx import NvtxListener, tool_attached
from vlbench.profiling.trace import first_kernel_seconds, gpu_busy_seconds
from vlbench.record.nvml import throttle_check
from vlbench.record.precision import turn_tf32_off
from vlbench.record.schema import State
from vlbench.trial.clock import SYNCHRONIZE, BehindClock, Clock, clock_for
from vlbench.trial.job import LAST_CALL, Event, FedIn, Finished, FirstKernel, Job, Loaded, Stages, Struck
from vlbench.trial.load import LoadMeter
from vlbench.trial.pace import STAGE_CALLS, Pace
from vlbench.trial.rounds import WARM_UP_SECONDS, Entrant, Rounds, instances_for, warm_up, without_collector
from vlbench.trial.seam_bench import SeamBench
from vlbench.trial.settle import settle
from vlbench.trial.store import Apart
from vlbench.trial.subject import Bench, Inputs, SlowedOnStream, prepared
from vlbench.trial.tower_bench import TowerBench
from vlbench.workload.scenario import SeamPoint

MEMORY_SHARE = 0.9

Emit = Callable[[Event], None]
Mark = Callable[[str], None]


def run_job(job: Job, emit: Emit, mark: Mark = lambda name: None) -> None:
    """Do the job in this process; `mark` is told the name of each variant before it is called.

    Raises UsageError, CheckpointError or FlagError when it cannot be done as asked."""
    settle(job.threads)
    mark, pace = _settling(mark), Pace(job)
    with ExitStack() as ends:
        store = ends.enter_context(Apart())
        if tool_attached():
            ends.enter_context(listen(NvtxListener()))
        if isinstance(job.point, SeamPoint):
            bench: Bench = SeamBench(job, store)
        else:
            bench = TowerBench(job, store, lambda batch: emit(FedIn(batch=batch)))
        emit(prepared(bench))
        entrants = _check(job, bench, pace, mark, emit)
        is_right = bool(entrants) and entrants[0].name == job.variants[0].name
        # Rounds of the reference tower alone tell nothing, and whoever goes on from them would begin anew.
        if job.seconds and is_right and (len(entrants) > 1 or pace.checked_all):
            struck = _measure(job, bench, pace, entrants, mark, emit)
            if job.stages:
                _share(job, bench, pace, [entrant for entrant in entrants if entrant.name not in struck], mark, emit)
    emit(Finished())


def _settling(mark: Mark) -> Mark:
    """The same before whose calls TF32 is off, whoever was called last."""

    def settled(name: str) -> None:
        turn_tf32_off()
        mark(name)

    return settled


def _check(job: Job, bench: Bench, pace: Pace, mark: Mark, emit: Emit) -> list[Entrant]:
    """The accuracy of every row that fits into the time; those to time."""
    started, entrants = pace.now(), []
    for variant in job.variants:
        if variant is not job.variants[0] and not pace.fits_another():
            break
        bench.judge.beat = partial(mark, variant.name)
        mark(variant.name)
        begun = pace.now()
        checked, subject = bench.check(variant)
        SYNCHRONIZE[job.device]()  # where it lost the device it is the last that was marked
        emit(checked)
        pace.note(variant.name, pace.now() - begun, subject.warm_seconds if subject else None)
        if variant is job.variants[0]:
            emit(pace.estimate(started))
        if subject is not None:
            entrants.append(Entrant(variant.name, subject, bench.allowed(variant.exactness)))
    return entrants


def _measure(job: Job, bench: Bench, pace: Pace, entrants: list[Entrant], mark: Mark, emit: Emit) -> set[str]:
    """The timed rounds; who was struck in them."""
    clocks: dict[State, Clock] = {state: clock_for(job.device) for state in job.states}
    inputs, seed = bench.inputs, job.seed * 1000 + job.trial
    instances = _instances(job, bench, entrants, mark)
    rounds = Rounds(
        entrants,
        inputs,
        clocks,
        store=bench.judge.store,
        instances=instances,
        confidence=job.confidence,
        seed=seed,
        mark=mark,
        throttled_by=throttle_check(job.device),
    )
    rounds.synchronize = SYNCHRONIZE[job.device]
    with torch.inference_mode(), without_collector():
        for entrant in (*entrants, *instances):
            mark(entrants[0].name if entrant in instances else entrant.name)
            if not pace.is_over:
                entry = entrant.subject.prepare(inputs.fresh(inputs.rotating[0]))
                span = warm_up(entrant.subject, entry, clock_for(job.device), WARM_UP_SECONDS)
                if isinstance(slow := entrant.subject.run, SlowedOnStream):
                    slow.calibrate(span)
                if "behind" in clocks and entrant is entrants[0]:
                    clocks["behind"] = BehindClock(span)
        meter = LoadMeter()
        with window() as rounds.count:  # what a capture by nsys holds
            for one in rounds.run(pace.left_for_rounds(entrant.name for entrant in entrants), pace.now, job.until):
                emit(one)
        emit(Loaded(load=meter.read()))
        if isinstance(behind := clocks.get("behind"), BehindClock):
            right = [entrant for entrant in entrants if entrant.name not in rounds.struck]
            _first_kernels(right, inputs, behind, pace, mark, emit)
    for name, reason in rounds.struck.items():
        emit(Struck(variant=name, reason=reason))
    return set(rounds.struck)


def _first_kernels(
    entrants: list[Entrant], inputs: Inputs, behind: BehindClock, pace: Pace, mark: Mark, emit: Emit
) -> None:
    """How long after the queued work the first kernel of each begins: one profiled call each."""
    for entrant in entrants:
        if pace.fits_stages(entrant.name):
            mark(entrant.name)
            own = entrant.subject.prepare(inputs.fresh(inputs.rotating[0]))
            seconds = first_kernel_seconds(partial(entrant.subject.run, own), behind.queue)
            if seconds is not None:
                emit(FirstKernel(variant=entrant.name, seconds=seconds))


def _instances(job: Job, bench: Bench, entrants: list[Entrant], mark: Mark) -> list[Entrant]:
    """Further instances of the reference tower, as many as a round of all these asks for."""
    first = entrants[0]
    mark(first.name)
    return [
        Entrant(f"{first.name}#{number + 1}", bench.another(job.variants[0]), first.allowed)
        for number in range(1, instances_for(len(entrants)))
    ]


def _share(job: Job, bench: Bench, pace: Pace, entrants: list[Entrant], mark: Mark, emit: Emit) -> None:
    """The stages' shares, from rounds of their own, all variants in turn: the listener would show in the times."""
    inputs = bench.inputs
    entry, draw = inputs.fresh(inputs.rotating[0]), random.Random(job.seed)
    with torch.inference_mode(), without_collector():
        for number in range(STAGE_CALLS):
            for entrant in draw.sample(entrants, len(entrants)):
                if not pace.fits_stages(entrant.name):
                    continue
                mark(entrant.name)
                run = partial(entrant.subject.run, entrant.subject.prepare(entry))
                emit(stages_of(entrant.name, run, job.device, inputs.calls, busy=number == 0))


def stages_of(variant: str, run: Callable[[], object], device: str, calls: int = 1, *, busy: bool = False) -> Stages:
    """Seconds by stage of one call of `run`; with `busy`, on CUDA also the time that the GPU was busy.

    `run` does its work `calls` times.
    """
    on_cuda = device == "cuda"
    charges = time_stages(run, 1, lambda: StageClock(torch.cuda.synchronize if on_cuda else None))
    seconds = {name: charge.own for name, charge in charges.items()}
    busy_seconds = gpu_busy_seconds(run) if on_cuda and busy else None
    return Stages(variant=variant, seconds=seconds, busy_seconds=busy_seconds and busy_seconds / calls)


def _limit_memory() -> None:
    """Let a variant that eats memory fail by itself, before the system ends whichever process it likes."""
    import psutil

    most = int(psutil.virtual_memory().available * MEMORY_SHARE)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _work(parent: Parent) -> None:
    job = next(parent.hear(Job))
    parent.end_at(job.until + LAST_CALL)
    if job.device == "cpu":
        _limit_memory()
    run_job(job, parent.say, parent.mark)


if __name__ == "__main__":
    serve(_work, (UsageError, CheckpointError, FlagError), tool_attached)
