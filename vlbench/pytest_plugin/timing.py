"""A cell in this process: is it right, and then its warm forward under pytest-benchmark."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import Parts
from vlbench.matrix.plan import Settings, single_plan
from vlbench.matrix.targets import model_target, tower_targets
from vlbench.record.exactness import Accuracy
from vlbench.record.precision import tf32_turned_off
from vlbench.record.schema import Counts
from vlbench.trial.clock import clock_for
from vlbench.trial.difference import beyond
from vlbench.trial.job import Job, job_of
from vlbench.trial.rounds import warm_up
from vlbench.trial.settle import settle
from vlbench.trial.store import Apart
from vlbench.trial.subject import Inputs, Subject
from vlbench.trial.tower_bench import TowerBench
from vlbench.workload.library import load_scenario

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

THREADS = 1
"""Of torch on a CPU: one halves the noise."""


def find_cell(
    variant: str, model: str | None, scenario: str, point: str | None, dtype: str | None, device: str, seed: int
) -> Job:
    """The job of the reference tower, which comes first, and the variant to time, which comes last and may be it.

    The arguments are those of `vlbench run`. Raises UsageError for what cannot be had as asked.
    """
    if model is not None and model not in MODELS:
        (target,) = tower_targets(list(dict.fromkeys([model, variant])), device, [dtype], None)
    else:
        target = model_target(model, device, dtype, [variant])
    points = [each.label for each in load_scenario(scenario).points(target.device)]
    if point not in points and (point is not None or len(points) > 1):
        raise UsageError(f"scenario {scenario!r} has the points {', '.join(points)}; choose one with point=...")
    job = job_of(single_plan(scenario, point, target, Settings(seed, THREADS)), 0, 0.0)
    return job.model_copy(update={"secret": secrets.randbits(60)})


def time_cell(job: Job, benchmark: BenchmarkFixture, seconds: float, least: int) -> str | None:
    """Time rounds for `seconds`, and `least` of them at least. Returns what is wrong with the variant, None if nothing.

    What fails its accuracy check is not timed. Each round has contents and memory of its own, so that none gains by
    remembering, and the output of the last one is held against the reference tower's.
    """
    first, variant = job.variants[0], job.variants[-1]
    coordinates = (job.model, variant.name, job.point.scenario, job.point.label, job.dtype, job.device)
    name = " ".join(filter(None, coordinates))
    with settled(), Apart() as store:
        bench = TowerBench(job, store)
        checked, subject = bench.check(variant)
        if subject is None:
            return f"{name}: inaccurate, so nothing was timed: {checked.accuracy.reason}"
        reference = bench.check(first)[1] if variant != first else subject
        assert reference is not None  # the reference tower agrees with itself
        benchmark.extra_info |= _extra_info(name, checked.accuracy, checked.counts)
        with torch.inference_mode():
            rounds = max(least, int(seconds / _settled_seconds(subject, bench.inputs, job.device)))
            entry, output = _timed(subject, bench.inputs, benchmark, rounds, job.device)
            benchmark.has_error = True  # its time is in no file until its output has proved right
            wrong = beyond(bench.allowed(variant.exactness), output, reference.run(entry))
    if wrong:
        whose = "its" if wrong[0] == "the output" else f"{wrong[0]}: its"
        return f"{name}: inaccurate in a timed round: {whose} error is {wrong[1]:.2g}"
    benchmark.has_error = False
    return None


def _timed(
    subject: Subject, inputs: Inputs, benchmark: BenchmarkFixture, rounds: int, device: str
) -> tuple[Any, Parts]:
    """The rounds; what was fed in to the last one, and what came out."""
    synchronize: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else lambda: None
    novel = inputs.novel
    assert novel is not None  # a tower's inputs have no end
    entries = map(novel, itertools.count())
    entry: Any = None

    def set_up() -> tuple[tuple[Any, ...], dict[str, Any]]:
        nonlocal entry
        entry = next(entries)
        own = subject.prepare(inputs.fresh(entry))
        synchronize()
        return (own,), {}

    def forward(own: Any) -> Any:
        output = subject.run(own)
        synchronize()
        return output

    output: Parts = benchmark.pedantic(forward, setup=set_up, rounds=rounds)  # type: ignore[no-untyped-call]
    return entry, output


def _settled_seconds(subject: Subject, inputs: Inputs, device: str) -> float:
    """What a call takes once it has warmed up."""
    clock, own = clock_for(device), subject.prepare(inputs.fresh(inputs.rotating[0]))
    warm_up(subject, own, clock)
    return clock(partial(subject.run, own)).seconds


def _extra_info(name: str, accuracy: Accuracy, counts: Counts | None) -> dict[str, Any]:
    """What stands beside the times in pytest-benchmark's JSON; its names do not change."""
    return {
        "cell": name,
        "accuracy_error": accuracy.fp32_error,
        "accuracy_error_timed": accuracy.timed_error,
        "aten_operations": counts.aten_operations if counts else None,
        "attention_calls": counts.attention_calls if counts else None,
        "torch": torch.__version__,
        "threads": THREADS,
    }


@contextmanager
def settled() -> Iterator[None]:
    """torch as every measurement wants it, and as it was afterwards."""
    threads = torch.get_num_threads()
    with tf32_turned_off():
        settle(THREADS)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
