from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice, GhostValueError, declarations, declare
from vlbench.errors import UsageError

NAMESPACE = "vlbench_test_kernels"


def count_up(x: Tensor) -> None:
    x.add_(1)


def of_unknown_size(x: Tensor) -> Tensor:
    return x.new_empty(torch.library.get_ctx().new_dynamic_size())


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Operators of somebody's extension: one for CUDA alone, one with a CPU twin, one that writes in place."""
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))
    with torch.library._scoped_library(NAMESPACE, "FRAGMENT") as library:
        library.define("attend(Tensor q, Tensor cu, int longest) -> Tensor")
        library.define("double(Tensor x) -> Tensor")
        library.define("count_up_(Tensor(a!) x) -> ()")
        library.define("composed(Tensor x) -> Tensor")
        library.define("of_unknown_size(Tensor x) -> Tensor")
        library.impl("double", lambda x: x * 2, "CPU")
        library.impl("count_up_", count_up, "CPU")
        library.impl("composed", lambda x: (x * 2).relu(), "CompositeImplicitAutograd")
        torch.library.register_fake(f"{NAMESPACE}::double", torch.empty_like, lib=library)
        torch.library.register_fake(f"{NAMESPACE}::of_unknown_size", of_unknown_size, lib=library)
        yield getattr(torch.ops, NAMESPACE)


def test_a_declared_kernel_is_one_operation_with_a_shape(kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", lambda q, *rest: torch.empty_like(q), attention="flash")
    with CountingDevice("ghost") as device:
        q, cu = device.pixels((8, 2, 4), torch.bfloat16), device.upload(torch.tensor([0, 8]))
        with device.count() as counter:
            result = kernels.attend(q, cu, 8)
    assert result.shape == q.shape
    report = counter.report
    assert report.operations == {f"{NAMESPACE}::attend": 1}
    assert report.total.attention_calls == 1
    assert report.total.host_syncs == 0
    assert report.key.attention_backend == "flash"
    assert report.complete


def test_a_registered_fake_is_a_shape_rule(device: CountingDevice, kernels: SimpleNamespace) -> None:
    x = device.upload(torch.ones(3))
    with device.count() as counter:
        assert kernels.double(x).shape == (3,)
    assert counter.report.operations == {f"{NAMESPACE}::double": 1}
    assert counter.report.total.host_syncs == 0
    assert counter.report.complete
    declare(f"{NAMESPACE}::double", read_backs=1)
    with device.count() as counter:
        kernels.double(x)
    assert counter.report.complete
    assert counter.report.total.host_syncs == 1


def test_a_kernel_without_a_fake_is_listed_and_the_report_is_incomplete(
    device: CountingDevice, kernels: SimpleNamespace
) -> None:
    x = device.upload(torch.arange(3))
    with device.count() as counter:
        kernels.count_up_(x)
    assert counter.report.unknown == {f"{NAMESPACE}::count_up_": 1}
    assert counter.report.total.device_operations == 1
    assert not counter.report.complete
    declare(f"{NAMESPACE}::count_up_")
    with device.count() as counter:
        kernels.count_up_(x)
    assert counter.report.complete


def test_a_kernel_without_any_rule_names_the_remedy(kernels: SimpleNamespace) -> None:
    with CountingDevice("ghost") as device:
        q = device.pixels((8, 2, 4), torch.bfloat16)
        with pytest.raises(UsageError, match=rf'declare\("{NAMESPACE}::attend"'):
            kernels.attend(q, q, 8)
    with CountingDevice("shadow") as device:
        q = device.pixels((8, 2, 4), torch.bfloat16)
        with pytest.raises(UsageError, match=r"has no CPU kernel, .* count with mode='ghost'"):
            kernels.attend(q, q, 8)


def test_a_rule_that_fails_is_named_with_its_reason(kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", lambda q: torch.empty_like(q))
    with CountingDevice("ghost") as device:
        q = device.pixels((8, 2, 4), torch.bfloat16)
        with pytest.raises(
            UsageError, match=r"attend at .*test_opaque.* declared shape rule raised TypeError: .*; mend"
        ):
            kernels.attend(q, q, 8)
        with pytest.raises(UsageError, match=r"of_unknown_size at .* its fake kernel raised RuntimeError: .*; mend"):
            kernels.of_unknown_size(q)


@pytest.mark.parametrize("name", ["my_kernel", "triton::", "::shift", ""])
def test_a_name_without_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"a kernel is named as namespace::operator, or as triton::function"):
        declare(name)


def test_a_length_left_on_the_device_is_a_read_back_with_its_line(kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", lambda q, *rest: torch.empty_like(q))
    with CountingDevice("ghost") as device:
        q, cu = device.pixels((8, 2, 4), torch.bfloat16), device.upload(torch.tensor([0, 3, 8]))
        with device.count() as counter:
            longest = (cu[1:] - cu[:-1]).max()
            kernels.attend(q, cu, longest)
    (cause,) = counter.report.causes
    assert cause.event == "read-back"
    assert "kernels.attend(q, cu, longest)" in str(cause.where)


def test_a_composite_operator_is_its_pieces(device: CountingDevice, kernels: SimpleNamespace) -> None:
    x = device.upload(torch.ones(3))
    with device.count() as counter:
        kernels.composed(x)
    assert counter.report.operations == {"aten::mul.Tensor": 1, "aten::relu": 1}


def test_integers_through_a_kernel_with_a_cpu_twin_stay_known(device: CountingDevice, kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::double")
    declare(f"{NAMESPACE}::count_up_")
    x = device.upload(torch.tensor([1, 2]))
    kernels.count_up_(x)
    assert kernels.double(x).tolist() == [4, 6]


def test_integers_out_of_a_shape_rule_are_not_known(kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", lambda q, *rest: torch.empty_like(q))
    with CountingDevice("ghost") as device:
        lengths = device.upload(torch.tensor([1, 2]))
        with pytest.raises(GhostValueError):
            kernels.attend(lengths, lengths, 2).tolist()


def test_mixed_devices_are_refused(device: CountingDevice, kernels: SimpleNamespace) -> None:
    q: Tensor = device.upload(torch.ones(2))
    with pytest.raises(RuntimeError, match="same device"):
        kernels.attend(q, torch.tensor([0, 2]), 2)


def test_a_declared_operator_may_take_host_tensors(kernels: SimpleNamespace) -> None:
    declare(f"{NAMESPACE}::attend", lambda q, *rest: torch.empty_like(q))
    with CountingDevice("ghost") as device, device.count() as counter:
        kernels.attend(device.upload(torch.ones(2)), torch.tensor([0, 2]), 2)
    assert counter.report.total.host_syncs == 0
    assert counter.report.complete
