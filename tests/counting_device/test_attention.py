from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.counts import Counts

Counted = Callable[[Callable[[], object]], Counts]

QKV = torch.randn(3, 1, 4, 12, 80, generator=torch.Generator().manual_seed(0))


def attend(device: CountingDevice, dtype: torch.dtype, **options: object) -> Callable[[], Tensor]:
    q, k, v = device.upload(QKV.to(dtype)).unbind(0)
    return lambda: F.scaled_dot_product_attention(q, k, v, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "backend"), [(torch.bfloat16, "cudnn"), (torch.float32, "efficient")])
def test_one_operation_of_the_backend_cuda_would_take(
    device: CountingDevice, counted: Counted, dtype: torch.dtype, backend: str
) -> None:
    counts = counted(attend(device, dtype))
    assert counts.operations == {f"aten::_scaled_dot_product_{backend}_attention": 1}
    assert counts.total.attention_calls == 1
    assert counts.key.attention_backend == backend
    assert counts.key.dtype == str(dtype).removeprefix("torch.")


def test_the_result_of_flash_is_laid_out_as_cuda_lays_it_out(device: CountingDevice, counted: Counted) -> None:
    """[batch, tokens, heads, head_dim] in memory: merging the heads afterwards copies nothing."""
    call = attend(device, torch.bfloat16)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert call().transpose(1, 2).is_contiguous()
        assert counted(lambda: call().transpose(1, 2).reshape(12, 320)).total.device_operations == 1


def test_old_gpus_have_no_flash_attention() -> None:
    with CountingDevice("ghost", "sm_75") as device, device.count() as counter:
        attend(device, torch.float16)()
    assert counter.report.key.attention_backend == "efficient"


def test_the_chosen_kernel_is_respected(device: CountingDevice, counted: Counted) -> None:
    call = attend(device, torch.bfloat16)
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        assert counted(call).key.attention_backend == "efficient"
    with sdpa_kernel(SDPBackend.MATH):
        counts = counted(call)
    assert counts.key.attention_backend == "math"
    assert counts.total.attention_calls == 1
    assert counts.operations["aten::bmm"] == 2  # its pieces count one by one
    single = attend(device, torch.float32)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION), pytest.raises(RuntimeError, match="No available kernel"):
        single()


@pytest.mark.parametrize(("backend", "padding"), [("efficient", {"aten::constant_pad_nd"}), ("cudnn", set())])
def test_a_boolean_mask_costs_operations_of_its_own(
    device: CountingDevice, counted: Counted, backend: str, padding: set[str]
) -> None:
    mask = device.upload(torch.ones(12, 12, dtype=torch.bool))
    call = attend(device, torch.bfloat16, attn_mask=mask)
    with sdpa_kernel(getattr(SDPBackend, f"{backend.upper()}_ATTENTION")):
        counts = counted(call)
    assert counts.key.attention_backend == backend
    assert counts.operations.pop(f"aten::_scaled_dot_product_{backend}_attention") == 1
    assert set(counts.operations) == {"aten::full", "aten::scalar_tensor", "aten::where.self"} | padding


def test_cudnn_s_own_operator_is_an_attention_call_of_it() -> None:
    with CountingDevice("ghost", "sm_90") as device, torch.inference_mode(), device.count() as counter:
        q = device.pixels((1, 4, 12, 80), torch.bfloat16)
        torch.ops.aten._scaled_dot_product_cudnn_attention(q, q, q, None, False)
    assert counter.report.total.attention_calls == 1
    assert counter.report.key.attention_backend == "cudnn"


def test_narrow_heads_are_padded_for_flash(device: CountingDevice, counted: Counted) -> None:
    q = device.upload(QKV[0, ..., :36].bfloat16())
    assert counted(lambda: F.scaled_dot_product_attention(q, q, q)).operations["aten::constant_pad_nd"] == 3


@pytest.mark.parametrize("options", [{}, {"attn_mask": torch.ones(12, 12).tril().bool()}, {"is_causal": True}])
def test_shadow_attention_has_the_bits_of_the_cpu(options: dict[str, object]) -> None:
    expected = F.scaled_dot_product_attention(*QKV, **options)  # type: ignore[arg-type, misc]
    with CountingDevice("shadow") as device:
        moved = {key: device.upload(value) if isinstance(value, Tensor) else value for key, value in options.items()}
        assert torch.equal(device.download(attend(device, torch.float32, **moved)()), expected)


def test_mixed_devices_are_refused(device: CountingDevice) -> None:
    q = device.upload(QKV[0])
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        F.scaled_dot_product_attention(q, QKV[1], q)


def test_rms_norm_is_one_operation_also_from_a_module(device: CountingDevice, counted: Counted) -> None:
    norm = torch.nn.RMSNorm(80, device="cuda")
    x = device.upload(QKV[0])
    counts = counted(lambda: norm(x))
    assert counts.operations == {"aten::_fused_rms_norm": 1}
    # Weights of another dtype: CUDA's fused kernel does not take them, so its pieces run.
    weight = x[0, 0, 0].bfloat16()
    with warnings.catch_warnings(action="ignore"):
        assert counted(lambda: F.rms_norm(x, (80,), weight)).operations["aten::rsqrt"] == 1


def test_rms_norm_has_the_bits_of_the_cpu() -> None:
    weight = QKV[1, 0, 0, 0]
    with CountingDevice("shadow") as device:
        result = F.rms_norm(device.upload(QKV[0]), (80,), device.upload(weight), eps=1e-6)
        assert torch.equal(device.download(result), F.rms_norm(QKV[0], (80,), weight, eps=1e-6))


def test_multihead_attention_counts_its_attention_or_says_that_it_cannot(device: CountingDevice) -> None:
    module = device.build(lambda: torch.nn.MultiheadAttention(16, 2, batch_first=True))
    x = device.upload(torch.randn(1, 5, 16))
    with device.count() as fast:
        module(x, x, x, need_weights=False)
    assert fast.report.unknown == {"aten::_native_multi_head_attention": 1}
    module.train()
    with device.count() as slow:
        module(x, x, x, need_weights=False)
    assert slow.report.total.attention_calls == 1
    assert slow.report.complete


def test_torchs_varlen_attention_is_computed_where_floats_have_values() -> None:
    """Torch has no kernel of it for a CPU; its bounds are those of a segment of 4, an empty one and one of 8."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = QKV[:, 0].transpose(1, 2).bfloat16()
    with CountingDevice("shadow") as device:
        sent, bounds = [device.upload(each) for each in (q, k, v)], torch.tensor([0, 4, 4, 12], dtype=torch.int32)
        there = device.upload(bounds)
        with device.count() as counter:
            found = varlen_attn(*sent, there, there, 8, 8)
        with pytest.raises(UsageError, match=r"^torch_attn::_varlen_attn at .* has no CPU kernel"):
            varlen_attn(*sent, there, there, 8, 8, window_size=(-1, 0))
        with pytest.raises(UsageError, match="has no CPU kernel"):
            varlen_attn(*sent, there, device.upload(torch.tensor([0, 4, 8, 12], dtype=torch.int32)), 8, 8)
        told = device.download(found)  # type: ignore[arg-type]
    assert counter.report.operations == {"torch_attn::_varlen_attn": 1}
    assert counter.report.complete
    for start, stop in ((0, 4), (4, 12)):
        parts = (part[start:stop].transpose(0, 1).double() for part in (q, k, v))
        wanted = F.scaled_dot_product_attention(*parts).transpose(0, 1)
        assert float((told[start:stop] - wanted).norm() / wanted.norm()) < 0.01
