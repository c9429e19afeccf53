from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vlbench.counting_device import CountingDevice, GhostValueError, declare, opaque
from vlbench.errors import UsageError

pytest.importorskip("triton")

import triton
import triton.language as tl


@triton.jit
def shift(x, out, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + here, tl.load(x + here, mask=here < n) + 1, mask=here < n)


tuned = triton.autotune([triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 128})], key=["n"])(shift)


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(opaque, "_declared", dict(opaque._declared))
    return SimpleNamespace(x=torch.arange(4), out=torch.zeros(4, dtype=torch.int64))


def test_a_launch_is_one_operation_tuned_or_not(tensors: SimpleNamespace) -> None:
    with CountingDevice("ghost") as device:
        x, out = device.upload(tensors.x), device.upload(tensors.out)
        with device.count() as counter:
            shift[(1,)](x, out, 4, BLOCK=64)
            tuned[lambda meta: (4 // meta["BLOCK"],)](x, out, 4)
    assert counter.report.operations == {"triton::shift": 2}
    assert counter.report.unknown == {"triton::shift": 2}


def test_integers_that_a_kernel_writes_are_no_longer_known(tensors: SimpleNamespace) -> None:
    declare("triton::shift", writes=("out",))
    with CountingDevice("ghost") as device:
        x, out = device.upload(tensors.x), device.upload(tensors.out)
        with device.count() as counter:
            shift[(1,)](x, out, 4, BLOCK=64)
        assert counter.report.complete
        assert x.tolist() == [0, 1, 2, 3]
        with pytest.raises(GhostValueError):
            out.tolist()


def test_shadow_cannot_compute_a_kernel(tensors: SimpleNamespace) -> None:
    with CountingDevice("shadow") as device, pytest.raises(UsageError, match=r"triton::shift at .* cannot be computed"):
        shift[(1,)](device.upload(tensors.x), device.upload(tensors.out), 4, BLOCK=64)
