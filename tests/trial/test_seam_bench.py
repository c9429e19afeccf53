"""Seams through the measuring process's work, done in this one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness
from vlbench.implementations.optimized.layout import Keep, Layout
from vlbench.implementations.optimized.patch_embed import convolve, embedding
from vlbench.implementations.optimized.rope import Rope
from vlbench.implementations.optimized.rotary import rotate, rotation
from vlbench.implementations.optimized.seam import Seam
from vlbench.implementations.output import VisionOutput
from vlbench.implementations.prompt.pruning import pruning
from vlbench.matrix.plan import Plan
from vlbench.matrix.seams import seam_variants
from vlbench.record.exactness import Accuracy
from vlbench.trial.job import Checked, Estimated, Event, Finished, Job, Loaded, Prepared, Round, Stages, Struck, job_of
from vlbench.trial.seam_bench import LONGEST, READING, SeamBench
from vlbench.trial.store import Here
from vlbench.trial.worker import run_job
from vlbench.workload.scenario import SeamPoint
from vlbench.workload.seams import CASES

MODEL = "qwen2.5-vl-tiny"


def job(seam: str, seconds: float = 0.0, **fields: Any) -> Job:
    case = CASES[seam]
    label, size = next(iter(case.sizes.items()))
    variants, _ = seam_variants(case.seams, MODELS[MODEL], "cpu")
    given = {"point": SeamPoint(seam=seam, size=size, label=label), "dtype": "float32", "device": "cpu"} | fields
    plan = Plan(model=MODEL, variants=variants, **given)
    return job_of(plan, 0, seconds)


def events(asked: Job) -> list[Event]:
    emitted: list[Event] = []
    run_job(asked, emitted.append)
    return emitted


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "seam",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("micro-") else name
        for name, case in CASES.items()
        if not case.needs_gpu
    ],
)
def test_every_way_of_every_seam_is_checked_and_timed(seam: str, dtype: str) -> None:
    asked = job(seam, seconds=0.02, dtype=dtype)
    emitted = events(asked)
    assert list(dict.fromkeys(map(type, emitted))) == [Prepared, Checked, Estimated, Round, Loaded, Stages, Finished]
    checks = [event for event in emitted if isinstance(event, Checked)]
    assert [check.variant for check in checks] == [variant.name for variant in asked.variants]
    assert all(check.accuracy.passed for check in checks), checks
    assert all(check.counts and check.first_seconds for check in checks)
    for event in emitted:
        if isinstance(event, Round):
            assert list(event.seconds) == [variant.name for variant in asked.variants]


def test_a_job_travels_as_json() -> None:
    for asked in (job("rope"), job("merge", dtype="bfloat16")):
        assert Job.model_validate_json(asked.model_dump_json()) == asked


def test_counts_are_those_of_one_call() -> None:
    counts = {event.variant: event.counts for event in events(job("attention")) if isinstance(event, Checked)}
    assert {name: found and found.attention_calls for name, found in counts.items()} == {
        "naive": 4,  # windows of 16x16 patches
        "block-mask": 1,
        "host-seqlens": 4,
        "sdpa-prealloc": 4,
        "host-seqlens+batched-windows": 1,
    }


# What one reading is.


@pytest.mark.parametrize(
    ("probed", "calls"),
    [
        ([2 * READING], 1),
        ([READING / 100], 100),
        ([READING / 100, READING / 10], 100),
        ([READING / 100, LONGEST / 10], 10),
        ([READING / 100, 2 * LONGEST], 1),
    ],
)
def test_a_reading_is_long_enough_for_the_fastest_and_not_too_long_for_the_slowest(
    probed: list[float], calls: int
) -> None:
    bench = SeamBench(job("inverse-permutation"), Here())
    bench.probed = probed
    assert bench._calls_of_a_reading() == pytest.approx(calls, abs=1)


def test_behind_a_queue_one_reading_is_one_call() -> None:
    bench = SeamBench(job("inverse-permutation", states=("behind",)), Here())
    bench.probed = [1e-6]
    assert bench._calls_of_a_reading() == 1


def test_every_call_of_a_reading_has_memory_of_its_own() -> None:
    bench = SeamBench(job("merge"), Here())
    bench.calls = 7
    inputs = bench.inputs
    assert inputs.calls == 7
    for turn, entry in enumerate(inputs.rotating):
        fresh = inputs.fresh(entry)
        assert len({tensor.data_ptr() for each in fresh for tensor in each.tensors}) == 7 * 4
        for number, each in enumerate(fresh):
            assert torch.equal(each.tensors[0], bench.arguments[(turn + number) % 3].tensors[0])


def test_a_time_is_that_of_one_call() -> None:
    asked = job("inverse-permutation", seconds=0.02)
    slow = asked.variants[0].model_copy(update={"name": "slow", "slow_down": 9.0})
    emitted = events(asked.model_copy(update={"variants": (asked.variants[0], slow)}))
    rounds = [event.seconds for event in emitted if isinstance(event, Round)]
    (check, _) = [event for event in emitted if isinstance(event, Checked)]
    assert check.first_seconds
    fastest = min(one["naive"] for one in rounds)
    assert fastest < READING / 5
    assert 5 < min(one["slow"] for one in rounds) / fastest < 20


# Wrong ways.


@contextmanager
def flag(seam: Seam[Any], way: Callable[..., Any], exactness: Exactness) -> Iterator[None]:
    """A way that this process knows for a while, by the name `other`."""
    seam.optimization("other", removes="nothing", exactness=exactness, source="a test")(way)
    try:
        yield
    finally:
        del OPTIMIZATIONS["other"], seam._flags["other"]


def measured(
    seam: Seam[Any], way: Callable[..., Any], name: str, exactness: Exactness = Exactness.BIT_EXACT
) -> list[Event]:
    with flag(seam, way, exactness):
        return events(job(name, seconds=0.02))


def check_of(emitted: list[Event]) -> Checked:
    return next(event for event in emitted if isinstance(event, Checked) and event.variant == "other")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (lambda proj, pixels: convolve(proj, pixels) * (1 + 1e-6), "not bit-exact in fp32"),
        (lambda proj, pixels: convolve(proj, pixels)[:-1], "the output has shape"),
        (lambda proj, pixels: convolve(proj, pixels) * torch.nan, "not bit-exact in fp32: error nan"),
        (lambda proj, pixels: None, "the output is a NoneType, not a plain tensor"),
        (lambda proj, pixels: pixels @ pixels, "raised RuntimeError"),
    ],
)
def test_a_wrong_way_fails_and_is_not_timed(way: Callable[..., Any], words: str) -> None:
    emitted = measured(embedding, way, "patch-embed")
    check = check_of(emitted)
    assert not check.accuracy.passed
    assert words in (check.accuracy.reason or "")
    rounds = [event for event in emitted if isinstance(event, Round)]
    assert rounds
    assert not any("other" in event.seconds for event in rounds)


def test_a_way_that_turns_wrong_while_it_is_timed_is_struck() -> None:
    calls = 0

    def tires(proj: Any, pixels: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return convolve(proj, pixels) + (calls > 15)  # a check makes thirteen

    emitted = measured(embedding, tires, "patch-embed")
    assert check_of(emitted).accuracy.passed
    (struck,) = [event for event in emitted if isinstance(event, Struck)]
    assert struck.variant == "other"


def in_place(qkv: Tensor, rope: Rope, layout: Layout, keep: Keep, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Right, and what it was given is rotated afterwards: a second call would rotate it again."""
    q, k, v = layout.split(qkv, heads)
    q.copy_(rotate(q.contiguous(), rope, layout))
    k.copy_(rotate(k.contiguous(), rope, layout))
    return q, k, v


def test_a_way_that_writes_into_what_it_is_given_is_right_however_often_it_is_called() -> None:
    emitted = measured(rotation, in_place, "rope")
    assert check_of(emitted).accuracy.passed
    assert not [event for event in emitted if isinstance(event, Struck)]


def test_one_wrong_part_of_several_is_seen() -> None:
    def without_v(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = rotation.naive_way(*arguments)
        return q, k, torch.zeros_like(v)

    assert "not bit-exact" in (check_of(measured(rotation, without_v, "rope")).accuracy.reason or "")


# A way that leaves tokens out.


@cache
def pruning_bench(dtype: str = "float32") -> SeamBench:
    return SeamBench(job("pruning", dtype=dtype), Here())


def check_pruned(change: Callable[[VisionOutput], VisionOutput], dtype: str = "float32") -> Accuracy:
    """The check of a way that does what `evs` does, and then something else."""
    bench = pruning_bench(dtype)
    evs = bench.made.way(frozenset({"evs"}), bench.dtype)

    def way(*tensors: Tensor) -> VisionOutput:
        output = evs(*tensors)
        assert isinstance(output, VisionOutput)
        return change(output)

    return bench.judge.check("result-changing", lambda: way, lambda: way)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_a_way_leaves_out_is_told(dtype: str) -> None:
    found = check_pruned(lambda output: output, dtype)
    assert (found.passed, found.fp32_error, found.fp32_limit, found.retained) == (True, 0, math.inf, 0.25)
    assert 0 < (found.cosine_error or 0) < 0.3
    bench = pruning_bench(dtype)
    assert bench.judge.put_back("bit-exact") is None
    assert set(bench.allowed("result-changing").values()) == {0.0}, "what stays is not to differ in a round either"


def without(output: VisionOutput, name: str) -> VisionOutput:
    return VisionOutput(output.tokens, {part: each for part, each in output.parts.items() if part != name})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: VisionOutput(it.tokens.roll(1, 0), it.parts), "part 'tokens' of the output: not bit-exact in fp32"),
        (
            lambda it: VisionOutput(it.tokens, {**it.parts, "positions": it.parts["positions"] + 1}),
            "part 'positions' of the output: not bit-exact in fp32",
        ),
        (lambda it: VisionOutput(it.tokens, {**it.parts, "after": it.parts["after"] - 1}), "part 'after'"),
        (lambda it: VisionOutput(it.tokens.double(), it.parts), "is of float64 instead of float32"),
        (lambda it: VisionOutput(it.tokens[1:], it.parts), "does not fit the tokens that it says it keeps"),
        (lambda it: without(it, "kept"), "does not fit the tokens that it says it keeps"),
        (lambda it: without(it, "after"), "lacks the part 'after'"),
    ],
)
def test_what_stays_has_to_be_right(change: Callable[[VisionOutput], VisionOutput], words: str) -> None:
    found = check_pruned(change)
    assert not found.passed
    assert words in (found.reason or "")
    assert (found.retained, found.cosine_error) == (None, None)


@pytest.mark.slow
def test_a_way_that_leaves_out_wrongly_while_it_is_timed_is_struck() -> None:
    calls = 0

    def tires(*arguments: Any) -> VisionOutput:
        nonlocal calls
        calls += 1
        output = OPTIMIZATIONS["evs"].way(*arguments)
        return output if calls <= 15 else VisionOutput(output.tokens.roll(1, 0), output.parts)  # a check makes thirteen

    emitted = measured(pruning, tires, "pruning", Exactness.RESULT_CHANGING)
    assert check_of(emitted).accuracy.passed
    assert [event.variant for event in emitted if isinstance(event, Struck)] == ["other"]
