"""What is read out of a trace: one written by hand in the profiler's form, and real ones of this machine's CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity

from vlbench.counting.calibrate import profiled
from vlbench.counting.trace import FORWARD, Observed, observe
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.counter import size_class

TRACE = Path(__file__).parent / "forward_trace.json"
COUNTED = {"aten::addmm", "aten::clone", "aten::cat", "aten::copy_"}


def events() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(TRACE.read_text(), parse_float=str)["traceEvents"]
    return found


@pytest.fixture(scope="module")
def observed() -> Observed:
    return observe(events(), COUNTED)


def test_kernels_go_to_the_outermost_counted_operation(observed: Observed) -> None:
    work = [(*call.kind, call.kernels, call.memcpys, call.memsets) for call in observed.calls]
    product = ("aten::addmm", "bfloat16", size_class(1280 * 1280))
    assert work == [
        ("aten::copy_", "int64", 16, 0, 0, 0),  # the upload's copy is over the bus
        (*product, 2, 0, 1),
        (*product, 1, 0, 0),  # its kernel runs when the host has left the forward
        ("aten::clone", "bfloat16", size_class(64 * 1280), 0, 1, 0),
        ("aten::cat", "list", size_class(32 * 1280), 1, 0, 0),
    ]


def test_copies_over_the_bus_and_waits_are_counted_apart(observed: Observed) -> None:
    assert observed.counters == {
        "uploads": 1,
        "upload_bytes": 24,
        "read_backs": 1,
        "read_back_bytes": 8,
        "host_syncs": 2,  # the profiler's own wait at the end is not the forward's
    }


def test_what_nobody_counts_is_named(observed: Observed) -> None:
    assert observed.kernels == 6
    assert observed.unattributed == {"thirdparty::mystery": 1, "(no operation)": 1}


def test_a_trace_without_the_forward_is_refused() -> None:
    with pytest.raises(ValueError, match="no annotation"):
        observe([event for event in events() if event["name"] != FORWARD], COUNTED)


class Everyday(nn.Module):
    """Operations with one tensor, several, a list of them, integers, and none."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(48, 32)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = torch.cat([self.proj(pixels), self.proj(pixels)])
        order = torch.argsort(torch.arange(x.shape[0], device=x.device), descending=True)
        x = x[order].float().cos() * 2
        return (x.softmax(-1) @ x.T)[:, :5].contiguous()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_real_trace_has_the_kinds_that_are_counted(dtype: torch.dtype) -> None:
    """The table is learned by the profiler's names, dtypes and shapes and looked up by the counting device's."""
    module, pixels = Everyday().to(dtype), torch.randn(40, 48).to(dtype)
    grid = torch.tensor([[1, 4, 10]])
    with torch.inference_mode():
        real = profiled(module, pixels, grid, [ProfilerActivity.CPU])
        with CountingDevice("ghost") as device:
            ghost = device.build(lambda: Everyday().to(dtype))
            x = device.pixels((40, 48), dtype)
            with device.count() as counter:
                ghost(x, grid)
    counted = sorted((kind.operation, kind.dtype, kind.size, kind.times) for kind in counter.report.kinds)
    calls = [call.kind for call in observe(real, {kind[0] for kind in counted}).calls]
    assert sorted((*kind, calls.count(kind)) for kind in set(calls)) == counted
