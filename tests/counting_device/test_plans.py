"""Attention plans that cuDNN builds: one for each new key, in each thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts

Call = Callable[..., Counts]


@pytest.fixture
def attend() -> Iterator[Call]:
    """Attention of so many tokens on a device that prefers cuDNN, counted."""
    with CountingDevice("ghost", "sm_90") as device, torch.inference_mode():
        yield lambda *args, **options: counted(device, *args, **options)


def counted(
    device: CountingDevice,
    tokens: int = 12,
    heads_last: bool = False,
    mask: tuple[int, ...] = (),
    dtype: torch.dtype = torch.bfloat16,
    **options: object,
) -> Counts:
    shape = (1, tokens, 4, 80) if heads_last else (1, 4, tokens, 80)
    q, k, v = (device.pixels(shape, dtype) for _ in range(3))
    if heads_last:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
    bias = device.pixels(mask, dtype) if mask else None
    with device.count() as counter, counter.stage("attention"):
        F.scaled_dot_product_attention(q, k, v, bias, **options)  # HERE
    return counter.report


def plans(counts: Counts) -> int:
    return counts.total.attention_plans


def test_each_new_length_needs_one_and_a_known_one_none(attend: Call) -> None:
    assert [plans(attend(tokens)) for tokens in (12, 12, 16, 12, 16, 20)] == [1, 0, 1, 0, 0, 1]


def test_dtype_strides_masks_and_settings_are_part_of_the_key_and_the_scale_is_not(attend: Call) -> None:
    assert plans(attend()) == 1
    assert plans(attend(scale=0.5)) == 0
    assert plans(attend(heads_last=True)) == 1
    assert plans(attend(is_causal=True)) == 1
    assert [plans(attend(dtype=dtype)) for dtype in (torch.float16, torch.bfloat16)] == [1, 0]
    assert plans(attend(dropout_p=0.125)) == 1
    assert plans(attend(mask=(12, 12))) == 1
    assert plans(attend(mask=(1, 1, 12, 12))) == 0, "it is expanded to the same"
    assert plans(attend(mask=(1, 12))) == 1
    assert plans(attend(mask=(12, 12))) == 0


def test_a_plan_has_its_line_and_its_stage_and_is_neither_a_wait_nor_an_operation(attend: Call) -> None:
    first, again = attend(), attend()
    (site,) = first.causes
    assert (site.event, site.times, site.bytes, site.blocking, site.stage) == (
        "attention plan",
        1,
        0,
        False,
        "attention",
    )
    assert site.where.source.endswith("# HERE")
    assert first.stages["attention"].attention_plans == 1
    assert (first.total.host_syncs, first.total.device_operations) == (0, 1)
    assert first.operations == again.operations == {"aten::_scaled_dot_product_cudnn_attention": 1}
    assert again.causes == ()


@pytest.mark.parametrize(("gpu", "cudnn"), [("sm_80", ""), ("sm_90", "9.15")])
def test_none_where_cudnn_does_not_attend(gpu: str, cudnn: str) -> None:
    with CountingDevice("ghost", gpu, cudnn) as device:
        report = counted(device)
    assert plans(report) == 0
    assert (report.key.attention_backend, report.key.cudnn) == ("flash", cudnn or "9.19")


def test_each_thread_builds_its_own_and_a_new_process_all_of_them() -> None:
    found: list[int] = []
    with CountingDevice("ghost", "sm_90") as device:
        found.append(plans(counted(device)))
        for _ in range(2):
            thread = threading.Thread(target=lambda: found.append(plans(counted(device))))
            thread.start()
            thread.join()
        found.append(plans(counted(device)))
        device.forget_plans()
        found.append(plans(counted(device)))
    assert found == [1, 1, 1, 0, 1]


def test_a_call_that_a_backward_may_follow_has_a_plan_of_its_own() -> None:
    with CountingDevice("ghost", "sm_90") as device:
        q = device.pixels((1, 4, 12, 80), torch.bfloat16)

        def attended() -> int:
            with device.count() as counter:
                F.scaled_dot_product_attention(q, q, q)
            return plans(counter.report)

        assert attended() == 1
        q.requires_grad_()
        assert attended() == 1
        with torch.no_grad():
            assert attended() == 0


@pytest.mark.parametrize("heads_first", [True, False])
def test_the_result_lies_in_memory_as_the_query_does(heads_first: bool) -> None:
    with CountingDevice("ghost", "sm_90") as device:
        wide = device.pixels((2, 12, 3, 4, 80), torch.bfloat16)  # q, k and v of one product
        q, k, v = (each.transpose(1, 2) for each in wide.unbind(2))
        if heads_first:
            q, k, v = (each.contiguous() for each in (q, k, v))
        result: Tensor = F.scaled_dot_product_attention(q, k, v)
        assert result.is_contiguous() is heads_first
        assert result.transpose(1, 2).is_contiguous() is not heads_first
        narrow = F.scaled_dot_product_attention(q, k, v[..., :40])
        assert narrow.shape == (2, 4, 12, 40)
        assert narrow.transpose(1, 2).is_contiguous() is not heads_first
