"""The operators of the kernels: what they refuse, how they count, and what is said where they cannot run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice, declarations
from vlbench.implementations.config import MODELS
from vlbench.implementations.operators import NAMESPACE
from vlbench.implementations.optimized import FlagError, FlagSet
from vlbench.implementations.optimized.kernels import angles, launch, norms, positions, rotation

HALF = torch.bfloat16


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


CALLS: dict[str, tuple[Callable[..., object], tuple[object, ...], str, int]] = {
    "turn_": (rotation.turn, (zeros(8, 480, dtype=HALF), zeros(8, 40), zeros(8, 40), 2), "rotate", 0),
    "cos_and_sin": (angles.cos_and_sin, (torch.zeros(8, 2, dtype=torch.int64), zeros(20)), "cos_and_sin", 2),
    "resample": (
        positions.resample,
        (torch.tensor([[2, 4, 0, 8]]), zeros(36, 72, dtype=HALF), 6, 2, 8, HALF),
        "resample",
        1,
    ),
    "normalise": (norms._normalise, (zeros(8, 72, dtype=HALF), zeros(72, dtype=HALF), None, 1e-6), "normalise", 1),
    "add_and_normalise": (
        norms._add_and_normalise,
        (*[zeros(8, 72, dtype=HALF)] * 2, zeros(72, dtype=HALF), zeros(72, dtype=HALF), 1e-6),
        "normalise",
        2,
    ),
}
"""Of each operator a call, the kernel that it is, and how many tensors that allocates."""


@pytest.mark.parametrize("mode", ["shadow", "ghost"])
@pytest.mark.parametrize("name", CALLS)
def test_an_operator_is_one_operation(name: str, mode: str) -> None:
    call, arguments, _, made = CALLS[name]
    with CountingDevice(mode) as device, torch.inference_mode():
        given = [device.upload(each) if isinstance(each, Tensor) else each for each in arguments]
        with device.count() as counter:
            call(*given)
    assert counter.report.operations == {f"{NAMESPACE}::{name}": 1}
    assert counter.report.complete
    assert counter.report.total.allocations == made
    assert counter.report.total.host_syncs == 0


@pytest.mark.parametrize("name", CALLS)
def test_what_is_declared_of_an_operator_is_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton is not installed: pip install 'vlbench[triton]'")
    monkeypatch.setattr(declarations, "_declared", {})  # so that its body is looked into
    call, arguments, kernel, made = CALLS[name]
    with CountingDevice("ghost") as device, torch.inference_mode():
        given = [device.upload(each) if isinstance(each, Tensor) else each for each in arguments]
        with device.count() as counter:
            call(*given)
    assert counter.report.operations == {f"triton::{kernel}": 1}
    assert counter.report.total.allocations == made
    assert counter.report.total.host_syncs == 0


@pytest.mark.parametrize(
    ("cos", "told"),
    [
        (zeros(8, 80), r"^cos is \[8, 80\]; give one value for each of 40 pairs that a head of 80 elements has"),
        (zeros(8, 40).repeat_interleave(2, 1), r"^cos is \[8, 80\]; give one value"),
        (zeros(4, 40), r"of each of 8 patches, \[8, 40\], row after row$"),
        (zeros(8, 20), r"^cos is \[8, 20\]; "),
        (zeros(40, 8).T, r"^cos is \[8, 40\] in another order; "),
        (zeros(8, 1, 40), r"^cos is \[8, 1, 40\]; "),
    ],
)
def test_another_layout_of_cos_and_sin_is_refused(cos: Tensor, told: str) -> None:
    qkv = zeros(8, 480)
    with pytest.raises(ValueError, match=told):
        rotation.turn(qkv, cos, zeros(8, 40), 2)
    with pytest.raises(ValueError, match=told.replace("cos is", "sin is")):
        rotation.turn(qkv, zeros(8, 40), cos, 2)


def test_another_layout_of_q_k_and_v_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^qkv is \[8, 480\] in another order; give the fused projection"):
        rotation.turn(zeros(480, 8).T, zeros(8, 40), zeros(8, 40), 2)


def test_a_table_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^table is \[35, 8\]; give the learned table, \[36, 8\]"):
        positions.resample_on_gpu(torch.tensor([[2, 4, 0, 8]]), zeros(35, 8), 6, 2, 8, HALF)


def test_a_head_that_no_kernel_is_for_is_refused() -> None:
    config = replace(MODELS["qwen2.5-vl-tiny"], hidden_size=256, num_heads=2)
    with pytest.raises(FlagError, match=r"its kernel is for a head_dim of 64, 72 or 80, and \S+ has 128; leave it out"):
        FlagSet(frozenset({"rope-triton"}), config, "cuda")


def test_without_triton_a_gpu_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [each for each in sys.modules if ".kernels.jit" in each]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(FlagError) as told:
        launch.kernel("rotation.rotate", "rope-triton")
    assert str(told.value) == (
        "rope-triton needs Triton on a GPU, and it is not installed: pip install triton, or leave the flag out"
    )
