"""The counting device takes back all of its hooks when it closes, so these tests share a process with any others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts


@pytest.fixture(params=["shadow", "ghost"])
def device(request: pytest.FixtureRequest) -> Iterator[CountingDevice]:
    with CountingDevice(request.param, "sm_90") as opened, torch.inference_mode():
        yield opened


@pytest.fixture
def counted(device: CountingDevice) -> Callable[[Callable[[], object]], Counts]:
    """Run something on the device and return what it was counted as."""

    def run(call: Callable[[], object]) -> Counts:
        with device.count() as counter:
            call()
        return counter.report

    return run
