from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from tests.cuda_stand_ins import CYCLES_PER_SECOND, VirtualTime, cuda
from vlbench.implementations.output import Parts
from vlbench.record.schema import SlowedOn
from vlbench.trial.clock import BehindClock, clock_for, cycles_per_second, event_clock, occupy, wall_clock
from vlbench.trial.job import VariantJob
from vlbench.trial.subject import SlowedOnStream, slowed


def test_wall_time_is_that_of_one_call() -> None:
    outputs = [torch.ones(2)]

    def call() -> torch.Tensor:
        time.sleep(0.02)
        return outputs.pop()

    reading = wall_clock(call)
    assert torch.equal(reading.output, torch.ones(2))
    assert 0.02 <= reading.seconds < 10
    assert (reading.host_seconds, reading.hidden) == (None, False)


def test_wall_time_is_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([5_000_000_000, 5_250_000_000])
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: next(readings))
        reading = wall_clock(lambda: torch.ones(1))
    assert reading.seconds == pytest.approx(0.25)


def test_what_the_call_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        wall_clock(lambda: torch.ones(1) * (1 / 0))


def test_each_kind_of_device_has_its_clock() -> None:
    assert clock_for("cpu") is wall_clock
    assert clock_for("cuda") is event_clock


@pytest.fixture
def gpu() -> Iterator[VirtualTime]:
    """A GPU that works in time that passes only for those who wait."""
    cycles_per_second.cache_clear()
    with VirtualTime() as now, cuda():
        yield now
    cycles_per_second.cache_clear()


def call(*, host: float = 0.0, device: float = 0.0, waits: bool = False) -> Callable[[], Parts]:
    """A call that issues for so long, and asks for so much of the GPU's time at its start."""

    def made() -> Parts:
        torch.cuda._sleep(round(device * CYCLES_PER_SECOND))
        time.sleep(host)
        if waits:
            torch.cuda.synchronize()
        return {}

    return made


def test_a_pause_is_as_long_as_was_asked_though_the_first_of_a_process_is_longer(
    gpu: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = torch.cuda._sleep, []

    def loading(cycles: int) -> None:
        calls.append(cycles)
        gpu.sleep(0.05 if len(calls) == 1 else 0.0)  # on the host, which waits for the module
        real(cycles * (3 if len(calls) == 1 else 1))  # and the clock is still low

    monkeypatch.setattr(torch.cuda, "_sleep", loading)
    assert cycles_per_second() == pytest.approx(CYCLES_PER_SECOND)
    assert event_clock(lambda: occupy(0.02) or {}).seconds == pytest.approx(0.02)


@pytest.mark.parametrize(("span", "queue"), [(1e-4, 5e-3), (12e-3, 18e-3), (1.2, 0.1)])
def test_the_queue_outlasts_the_reference_within_bounds(gpu: VirtualTime, span: float, queue: float) -> None:
    behind = BehindClock(span)
    assert behind.queue_seconds == pytest.approx(queue)
    begin = gpu.at
    assert behind(call(host=3e-3)).seconds == pytest.approx(3e-3)  # nobody waits for the queue
    assert gpu.at - begin == pytest.approx(queue)  # but the clock does, afterwards
    assert behind(call(host=3e-3, device=2e-3, waits=True)).seconds == pytest.approx(queue + 2e-3)


@pytest.mark.parametrize(
    ("host", "device", "on", "ratio"),
    [
        (1e-3, 10e-3, "stream", 1.03),
        (1e-3, 10e-3, "host", 1.0),  # the GPU is behind, and the host has the time
        (10e-3, 1e-3, "stream", 1.03),
        (10e-3, 1e-3, "host", 1.03),
    ],
)
def test_a_slow_down_shows_where_the_time_goes(
    gpu: VirtualTime, monkeypatch: pytest.MonkeyPatch, host: float, device: float, on: SlowedOn, ratio: float
) -> None:
    def passing() -> float:
        gpu.at += 1e-8  # for whoever spins
        return gpu.at

    monkeypatch.setattr(time, "perf_counter", passing)
    made = call(host=host, device=device)
    variant = VariantJob(name="+3%", flags=None, exactness="bit-exact", slow_down=0.03, slowed_on=on)
    slow = slowed(lambda entry: made(), variant)
    plain = event_clock(made).seconds
    if isinstance(slow, SlowedOnStream):
        assert event_clock(partial(slow, None)).seconds == pytest.approx(plain, rel=1e-3)
        slow.calibrate(plain)  # as its warm-up has it
    assert event_clock(partial(slow, None)).seconds / plain == pytest.approx(ratio, abs=2e-3)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_cuda
def test_event_time_holds_the_call_and_not_what_was_queued_before() -> None:
    big = torch.randn(4096, 4096, device="cuda")
    event_clock(lambda: big @ big)
    alone = min(event_clock(lambda: big @ big).seconds for _ in range(5))
    for _ in range(50):
        big @ big
    assert event_clock(lambda: big @ big).seconds < 10 * alone
    assert event_clock(lambda: torch.linalg.multi_dot([big] * 21)).seconds > 5 * alone


@needs_cuda
def test_work_on_another_stream_is_seen() -> None:
    big, side = torch.randn(8192, 8192, device="cuda"), torch.cuda.Stream()

    def elsewhere() -> torch.Tensor:
        with torch.cuda.stream(side):
            return torch.linalg.multi_dot([big] * 11)

    event_clock(lambda: big @ big)
    assert event_clock(elsewhere).hidden
    assert not event_clock(lambda: torch.linalg.multi_dot([big] * 11)).hidden


@needs_cuda
def test_behind_a_queue_a_sync_holds_the_host() -> None:
    small, behind = torch.ones(4, device="cuda"), BehindClock(span=3e-3)
    small + small.sum()  # loads the kernels
    assert behind(lambda: small + 1).seconds < 2e-3
    assert behind(lambda: small + small.sum().item()).seconds > 3e-3
