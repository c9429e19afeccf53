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


def test_cudnn_s_kernels_go_to_the_attention_call_that_launched_them() -> None:
    """As torch runs it: the operator, the one within it that calls cuDNN, and the kernel that cuDNN generated."""
    shape = {"Input Dims": [[1, 16, 64, 80]] * 3, "Input type": ["c10::BFloat16"] * 3}
    kernel = "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128_4x1x1_kernel0_0"
    found = observe(
        [
            {"ph": "X", "cat": "user_annotation", "name": FORWARD, "ts": 0, "dur": 90, "args": {"External id": 1}},
            *(
                {"ph": "X", "cat": "cpu_op", "name": f"aten::{name}", "ts": n, "dur": 50 - 2 * n, "tid": 7}
                | {"args": {"External id": 1 + n, **shape}}
                for n, name in enumerate(("_scaled_dot_product_cudnn_attention", "_cudnn_attention_forward"), 1)
            ),
            {"ph": "X", "cat": "kernel", "name": kernel, "ts": 60, "dur": 9, "args": {"External id": 3}},
        ],
        {"aten::_scaled_dot_product_cudnn_attention"},
    )
    (call,) = found.calls
    kind = ("aten::_scaled_dot_product_cudnn_attention", "bfloat16", size_class(16 * 64 * 80))
    assert (call.kind, call.kernels, found.kernels) == (kind, 1, 1)
    assert not found.unattributed


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
