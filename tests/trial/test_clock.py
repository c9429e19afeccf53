from __future__ import annotations

import time

import pytest
import torch

from vlbench.trial.clock import BehindClock, clock_for, event_clock, wall_clock


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
    small, behind = torch.ones(4, device="cuda"), BehindClock(seconds=5e-3)
    assert behind(lambda: small + 1).seconds < 2e-3
    assert behind(lambda: small + small.sum().item()).seconds > 3e-3
