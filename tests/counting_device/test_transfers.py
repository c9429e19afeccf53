from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts, Tally

Counted = Callable[[Callable[[], object]], Counts]

HOST = torch.arange(12).view(3, 4)  # 96 bytes


def upload(size: int, *, syncs: int = 1, pinned: int = 0, operations: int = 0, allocations: int = 1) -> Tally:
    return Tally(
        host_syncs=syncs,
        uploads=1,
        upload_bytes=size,
        pinned_uploads=pinned,
        device_operations=operations,
        allocations=allocations,
        allocated_bytes=allocations * size,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.tensor([1, 2, 3], device="cuda"),
        lambda: torch.tensor([1, 2, 3], device="cuda:0"),
        lambda: torch.as_tensor([1, 2, 3], device="cuda"),
        lambda: torch.as_tensor(torch.tensor([1, 2, 3]).numpy(), device=torch.device("cuda", 0)),
        lambda: torch.tensor([1, 2, 3]).to("cuda"),
        lambda: torch.tensor([1, 2, 3]).cuda(),
        lambda: torch.tensor([1, 2, 3]).cuda(non_blocking=True),  # pageable: the driver stages it and the host waits
    ],
)
def test_every_way_up_is_one_blocking_upload(counted: Counted, make: Callable[[], Tensor]) -> None:
    assert counted(make).total == upload(24)


def test_new_tensor_uploads(device: CountingDevice, counted: Counted) -> None:
    like = device.upload(HOST)
    assert counted(lambda: like.new_tensor([1, 2, 3])).total == upload(24)


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        (lambda pinned: pinned.to("cuda", non_blocking=True), upload(96, syncs=0, pinned=1)),
        (lambda pinned: pinned.to("cuda"), upload(96, pinned=1)),
        (lambda pinned: pinned[1:].to("cuda", non_blocking=True), upload(64, syncs=0, pinned=1)),
        # Rows apart: made contiguous in pageable memory first, so pinning was in vain.
        (lambda pinned: pinned[:, :2].to("cuda", non_blocking=True), upload(48)),
        # A conversion runs on the device if the copy does not block, else on the host, in pageable memory.
        (
            lambda pinned: pinned.to("cuda", torch.int32, non_blocking=True),
            Tally(uploads=1, upload_bytes=96, pinned_uploads=1, device_operations=1, allocations=1, allocated_bytes=48),
        ),
        (lambda pinned: pinned.to("cuda", torch.int32), upload(48)),
    ],
)
def test_pinned_uploads(counted: Counted, send: Callable[[Tensor], Tensor], expected: Tally) -> None:
    pinned = HOST.pin_memory()
    assert counted(lambda: send(pinned)).total == expected


def test_pinning_is_remembered_by_storage(device: CountingDevice) -> None:
    pinned = HOST.pin_memory()
    assert pinned.is_pinned()
    assert pinned[1].is_pinned()
    assert not HOST.is_pinned()
    assert torch.empty(3, pin_memory=True).is_pinned()
    assert torch.empty_like(HOST, pin_memory=True).is_pinned()
    assert torch.tensor([1], pin_memory=True).is_pinned()
    assert not device.upload(HOST).is_pinned()
    with pytest.raises(RuntimeError, match="cannot pin"):
        device.upload(HOST).pin_memory()


def read_back(size: int, *, syncs: int = 1) -> Tally:
    return Tally(host_syncs=syncs, read_backs=1, read_back_bytes=size)


@pytest.mark.parametrize(
    ("bring", "expected"),
    [
        (lambda x: x.cpu(), read_back(96)),
        (lambda x: x.to("cpu"), read_back(96)),
        (lambda x: x.tolist(), read_back(96)),
        (lambda x: x.numpy(force=True), read_back(96)),
        (lambda x: x.to("cpu", non_blocking=True), read_back(96, syncs=0)),  # torch pins the target itself
        (lambda x: torch.empty_like(HOST).copy_(x), read_back(96)),
        (lambda x: torch.empty_like(HOST).copy_(x, non_blocking=True), read_back(96)),
        (lambda x: torch.empty_like(HOST, pin_memory=True).copy_(x, non_blocking=True), read_back(96, syncs=0)),
    ],
)
def test_ways_down(
    device: CountingDevice, counted: Counted, bring: Callable[[Tensor], object], expected: Tally
) -> None:
    x = device.upload(HOST)
    assert counted(lambda: bring(x)).total == expected


def test_values_survive_the_way_down(device: CountingDevice) -> None:
    x = device.upload(HOST)
    assert x.tolist() == HOST.tolist()
    assert torch.equal(x.cpu(), HOST)
    target = torch.empty_like(HOST)
    target.copy_(x)
    assert torch.equal(target, HOST)


def test_copy_into_the_device(device: CountingDevice, counted: Counted) -> None:
    x = device.upload(torch.zeros(3, 4, dtype=torch.int64))
    counts = counted(lambda: x.copy_(HOST))
    assert counts.total == upload(96, allocations=0)
    assert x.tolist() == HOST.tolist()
    # Into rows that are apart: one memcpy to a temporary, one kernel from there.
    assert counted(lambda: x[:, :2].copy_(HOST[:, :2])).total == upload(48, operations=1, allocations=0)


def test_assigning_a_host_tensor_to_a_slice_uploads(device: CountingDevice, counted: Counted) -> None:
    x = device.upload(torch.zeros(3, 4))

    def assign() -> None:
        x[0:1] = torch.ones(4)

    counts = counted(assign)
    assert counts.total == upload(16, allocations=0)
    assert "x[0:1] = torch.ones(4)" in str(counts.causes[0].where)


def test_moving_what_is_there_already_is_free(device: CountingDevice, counted: Counted) -> None:
    x = device.upload(HOST)
    for same in (lambda: x.to("cuda"), lambda: x.to("cuda:0"), lambda: x.cuda(), lambda: x.to(x.device)):
        assert same() is x
    assert counted(lambda: x.to("cuda")).total == Tally()
    assert counted(lambda: torch.empty(0).to("cuda")).total.host_syncs == 0


def test_module_to(device: CountingDevice, counted: Counted) -> None:
    module = torch.nn.Linear(4, 2)
    counts = counted(lambda: module.to("cuda"))
    assert (counts.total.uploads, counts.total.upload_bytes) == (2, 40)
    assert all(parameter.is_cuda for parameter in module.parameters())
    assert counted(lambda: module.to(torch.bfloat16)).total.device_operations == 2
    assert module.weight.dtype == module(device.upload(torch.ones(1, 4)).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("column", [HOST[:1, 1], HOST[:1, :1], HOST[:1].T[:1]], ids=["(1,)", "(1, 1)", "turned"])
def test_one_element_is_copied_in_whatever_steps_it_lies(counted: Counted, column: Tensor) -> None:
    counts = counted(lambda: column.to("cuda").tolist())
    assert (counts.total.upload_bytes, counts.total.read_backs) == (8, 1)
    grids = torch.tensor([[1, 36, 36]], device="cuda")
    assert counted(lambda: grids[:, 0].tolist()).total.read_backs == 1
