from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts

Counted = Callable[[Callable[[], object]], Counts]

ROWS = torch.arange(12.0).view(3, 4)
ORDER = torch.tensor([2, 0, 1])
MASK = torch.tensor([True, False, True])


def put(x: Tensor, index: object, value: object) -> Tensor:
    x[index] = value  # type: ignore[index, assignment]
    return x


# call, operations, read-backs, implicit uploads, host syncs
CASES: dict[str, tuple[Callable[[Tensor, Tensor, Tensor, Tensor], object], int, int, int, int]] = {
    "integer": (lambda x, order, mask, one: x[1], 0, 0, 0, 0),
    "slice": (lambda x, order, mask, one: x[0:2, None, ...], 0, 0, 0, 0),
    "slice by device bounds": (lambda x, order, mask, one: x[one : one + 1], 1, 2, 0, 2),
    "device scalar": (lambda x, order, mask, one: x[one], 0, 1, 0, 1),
    "device index": (lambda x, order, mask, one: x[order], 1, 0, 0, 0),
    "host index": (lambda x, order, mask, one: x[ORDER], 1, 0, 1, 1),
    "two host indices": (lambda x, order, mask, one: x[ORDER, ORDER], 1, 0, 2, 2),
    "device mask": (lambda x, order, mask, one: x[mask], 2, 1, 0, 1),  # nonzero, then the gather
    "host mask": (lambda x, order, mask, one: x[MASK], 1, 0, 1, 0),  # through pinned memory
    "set by device index": (lambda x, order, mask, one: put(x, order, x * 2), 2, 0, 0, 0),
    "set by mask": (lambda x, order, mask, one: put(x, mask, x[0] * 2), 3, 1, 0, 1),
    "set a mask to a number": (lambda x, order, mask, one: put(x, mask, 0.0), 1, 0, 0, 0),  # a masked fill
    "set a host index to a host scalar": (
        lambda x, order, mask, one: x.index_put_((ORDER,), torch.tensor(0.0)),
        *(1, 0, 2, 2),
    ),
    "set a slice to a number": (lambda x, order, mask, one: put(x, slice(0, 2), 0.0), 1, 0, 0, 0),
    "set a slice by device bounds": (lambda x, order, mask, one: put(x, slice(one, one), x[:0]), 1, 2, 0, 2),
    "masked_fill": (lambda x, order, mask, one: x.masked_fill(mask[:, None], 1.0), 1, 0, 0, 0),
    "masked_fill by a device value": (lambda x, order, mask, one: x.masked_fill(mask[:, None], x[0, 0]), 1, 1, 0, 1),
    "masked_select": (lambda x, order, mask, one: x.masked_select(mask[:, None]), 2, 1, 0, 1),
    "where with one argument": (lambda x, order, mask, one: torch.where(mask), 1, 1, 0, 1),
    "index_select": (lambda x, order, mask, one: x.index_select(0, order), 1, 0, 0, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_costs(device: CountingDevice, counted: Counted, case: str) -> None:
    call, *expected = CASES[case]
    x, order, mask = device.upload(ROWS), device.upload(ORDER), device.upload(MASK)
    one = device.upload(torch.tensor(1))
    total = counted(lambda: call(x, order, mask, one)).total
    assert [total.device_operations, total.read_backs, total.implicit_uploads, total.host_syncs] == expected


@pytest.mark.parametrize("case", CASES)
def test_shadow_computes_what_a_cpu_computes(case: str) -> None:
    call = CASES[case][0]
    expected = call(ROWS.clone(), ORDER, MASK, torch.tensor(1))
    with CountingDevice("shadow") as device:
        operands = [device.upload(tensor) for tensor in (ROWS, ORDER, MASK, torch.tensor(1))]
        result = call(*operands)
        pairs = zip(*((item if isinstance(item, tuple) else (item,)) for item in (expected, result)), strict=True)
        assert all(torch.equal(plain, device.download(counted)) for plain, counted in pairs)


def test_a_list_index_is_an_upload(device: CountingDevice, counted: Counted) -> None:
    x = device.upload(ROWS)
    assert counted(lambda: x[[0, 2]]).total.uploads == 1


def test_pinned_host_indices_block_as_well(device: CountingDevice, counted: Counted) -> None:
    x, order = device.upload(ROWS), ORDER.pin_memory()
    (cause,) = counted(lambda: x[order]).causes
    assert cause.pinned
    assert cause.blocking


def test_a_host_tensor_refuses_device_indices(device: CountingDevice) -> None:
    order = device.upload(ORDER)
    with pytest.raises(RuntimeError, match="same device as the indexed tensor"):
        ROWS[order]
    with pytest.raises(RuntimeError, match="same device as the indexed tensor"):
        put(ROWS.clone(), order, 1.0)
    with pytest.raises(RuntimeError, match="on the host"):
        put(device.upload(ROWS), order, ROWS)


def test_a_loop_over_segments_costs_six_syncs_each_and_two_more_to_write() -> None:
    """The attention loop of early Qwen-VL towers: bounds on the device, sliced for q, k and v, and for the result."""
    bounds = torch.tensor([0, 4, 8, 16, 20])

    def attend(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, out: Tensor | None) -> None:
        for i in range(1, len(cu)):
            a, b, c = (part[:, cu[i - 1] : cu[i]] for part in (q, k, v))
            o = a + b + c
            if out is not None:
                out[:, cu[i - 1] : cu[i]] = o

    with CountingDevice("ghost") as device, torch.no_grad():
        q = device.pixels((2, 20, 8), torch.bfloat16)
        cu = device.upload(bounds)
        for out, each in ((None, 6), (torch.empty_like(q), 8)):
            with device.count() as counter:
                attend(q, q, q, cu, out)
            assert counter.report.total.host_syncs == each * 4


def test_a_mask_that_follows_from_floats_is_counted_and_what_it_picks_is_listed() -> None:
    with CountingDevice("ghost") as device:
        x = device.upload(ROWS)
        with device.count() as counter:
            x[torch.isnan(x)]
            x[x > 1]
        assert counter.report.total.host_syncs == 2
        ordinary, either = counter.report.assumptions
        assert (ordinary.certain, either.certain) == (True, False)
        assert ordinary.taken == f"a mask picks 0 of {ROWS.numel()}"
        with device.count() as counter:
            x[x > 1] = 0.0  # needs no size
        assert counter.report.total.host_syncs == 0
