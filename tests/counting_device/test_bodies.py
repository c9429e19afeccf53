"""Operators whose kernel is Python, or written for all devices: what their body asks for is counted."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice, declarations, declare
from vlbench.errors import UsageError

NAMESPACE = "vlbench_test_bodies"


def attend(q: Tensor, longest: Tensor) -> Tensor:
    return q[: longest.item()] * 2  # a hidden wait, which its fake kernel knows nothing of


def missing(q: Tensor) -> Tensor:
    from flash_attn_of_nobody import attend  # type: ignore[import-not-found]

    return attend(q)


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """As serving code registers them: for CUDA alone, with a fake kernel; and by `custom_op`."""
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))
    with torch.library._scoped_library(NAMESPACE, "FRAGMENT") as library:
        library.define("attend(Tensor q, Tensor longest) -> Tensor")
        library.define("missing(Tensor q) -> Tensor")
        library.define("two_ways(Tensor q) -> Tensor")
        library.impl("attend", attend, "CUDA")
        library.impl("missing", missing, "CUDA")
        library.impl("two_ways", lambda q: q + 1, "CPU")
        library.impl("two_ways", lambda q: (q + 1) * 1, "CUDA")
        torch.library.register_fake(f"{NAMESPACE}::attend", lambda q, longest: torch.empty_like(q), lib=library)
        found = getattr(torch.ops, NAMESPACE)
        yield SimpleNamespace(attend=found.attend, missing=found.missing, two_ways=found.two_ways)


@torch.library.custom_op(f"{NAMESPACE}_custom::scale", mutates_args=())
def scale(x: Tensor) -> Tensor:
    return x * 2 if x.is_cuda else x


@torch.library.custom_op(f"{NAMESPACE}_custom::add_to", mutates_args={"x"}, device_types="cuda")
def add_to(x: Tensor, y: Tensor) -> None:
    x.add_(y * 2)


def test_a_wait_in_the_body_is_found_with_its_line(device: CountingDevice, bodies: SimpleNamespace) -> None:
    q, longest = device.upload(torch.ones(4, 2)), device.upload(torch.tensor(3))
    with device.count() as counter:
        assert bodies.attend(q, longest).shape == (3, 2)
    report = counter.report
    assert report.operations == {"aten::mul.Tensor": 1}
    assert report.complete
    (cause,) = report.causes
    assert "test_bodies.py" in str(cause.where)
    assert cause.expression == "longest.item()"
    with device.count() as counter:
        bodies.attend(q, torch.tensor(3))  # on the host, where reading it costs nothing
    assert counter.report.total.host_syncs == 0


def test_what_is_declared_is_not_looked_into(bodies: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", attention="flash")
    with CountingDevice("ghost") as device:
        q, longest = device.pixels((4, 2), torch.bfloat16), device.upload(torch.tensor(3))
        with device.count() as counter:
            assert bodies.attend(q, longest).shape == (4, 2)  # as its fake kernel says
    assert counter.report.operations == {f"{NAMESPACE}::attend": 1}
    assert counter.report.total.attention_calls == 1
    assert counter.report.total.host_syncs == 0


def test_what_is_not_installed_is_named_with_the_remedy(bodies: SimpleNamespace) -> None:
    with CountingDevice("ghost") as device:
        q = device.pixels((4, 2), torch.bfloat16)
        with pytest.raises(
            UsageError, match=r"body raised ModuleNotFoundError: No module named 'flash_attn_of_nobody'; .*declare\("
        ):
            bodies.missing(q)
        declare(f"{NAMESPACE}::missing", torch.empty_like)
        with device.count() as counter:
            assert bodies.missing(q).shape == (4, 2)
    assert counter.report.complete


@pytest.mark.parametrize("grad", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_custom_operators_are_their_bodies(device: CountingDevice, grad: type) -> None:
    x = device.upload(torch.ones(4))
    with grad(), device.count() as counter:
        y = scale(x)
        add_to(x, y)
    assert counter.report.operations == {"aten::mul.Tensor": 2, "aten::add_.Tensor": 1}
    assert counter.report.complete


def test_on_the_host_the_kernel_for_the_host_runs(device: CountingDevice, bodies: SimpleNamespace) -> None:
    with device.count() as counter:
        assert bodies.two_ways(torch.ones(2)).tolist() == [2, 2]
        bodies.two_ways(device.upload(torch.ones(2)))
    assert counter.report.operations == {"aten::add.Tensor": 1, "aten::mul.Tensor": 1}


def test_a_triton_op_is_its_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("triton")
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))

    @triton.jit  # type: ignore[untyped-decorator]
    def nothing(x, out):  # type: ignore[no-untyped-def]
        pass

    @torch.library.triton_op(f"{NAMESPACE}_custom::fill", mutates_args=())
    def fill(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for _ in range(3):
            torch.library.wrap_triton(nothing)[(1,)](x, out)
        return out

    with CountingDevice("ghost") as device, torch.inference_mode():
        x = device.pixels((4,), torch.bfloat16)
        with device.count() as counter:
            fill(x)
        assert counter.report.operations == {"triton::nothing": 3, "aten::zeros_like": 1}
        assert counter.report.unknown == {"triton::nothing": 3}
        declare("triton::nothing")
        with device.count() as counter:
            fill(x)
        assert counter.report.complete
        assert counter.report.total.allocations == 1
        declare(f"{NAMESPACE}_custom::fill")
        with device.count() as counter:
            assert fill(x).shape == (4,)
        assert counter.report.operations == {f"{NAMESPACE}_custom::fill": 1}
        assert counter.report.complete
