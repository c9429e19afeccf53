"""Which backend torch would choose, by its sources: the order, and what keeps each of them out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlbench.counting_device.backends import Call, backend, torchs_order, version_of
from vlbench.counting_device.profiles import profile

HALF = torch.bfloat16


def heads(
    *, batch: int = 1, number: int = 4, tokens: int = 12, width: int = 80, dtype: torch.dtype = HALF, grad: bool = False
) -> Tensor:
    return torch.empty(batch, number, tokens, width, dtype=dtype, device="meta", requires_grad=grad)


def call(
    mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False, gqa: bool = False, **shape: Any
) -> Call:
    return Call(*(heads(**shape) for _ in range(3)), mask, dropout, causal, gqa)


def chosen(asked: Call, gpu: str = "sm_90", cudnn: str = "") -> str:
    answered = profile(gpu, cudnn)
    with torchs_order(answered):
        return backend(answered, asked)


@pytest.mark.parametrize(
    ("gpu", "cudnn", "expected"),
    [
        ("sm_90", "", "cudnn"),
        ("sm_100", "", "cudnn"),
        ("sm_90", "9.15.1", "cudnn"),
        ("sm_90", "9.15", "flash"),
        ("sm_100", "9.10.2", "flash"),
        ("sm_80", "", "flash"),
        ("sm_86", "", "flash"),
        ("sm_89", "9.25", "flash"),
    ],
)
def test_cudnn_comes_first_on_hopper_and_blackwell_from_9_15_1_on(gpu: str, cudnn: str, expected: str) -> None:
    before = torch._C._get_sdp_priority_order()
    assert chosen(call(), gpu, cudnn) == expected
    assert torch._C._get_sdp_priority_order() == before


def test_an_old_gpu_has_neither() -> None:
    assert chosen(call(dtype=torch.float16), "sm_75") == "efficient"
    assert chosen(call(), "sm_75") == "math"
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION), pytest.raises(RuntimeError, match="No available kernel"):
        chosen(call(dtype=torch.float16), "sm_75")


def test_the_environment_can_put_cudnn_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_of(profile("sm_90")) == "9.19"
    monkeypatch.setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1")
    assert chosen(call()) == "flash"
    assert version_of(profile("sm_90")) == "9.19, deprioritized"
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        assert chosen(call()) == "cudnn"
    monkeypatch.setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "0")
    assert chosen(call()) == "cudnn"


def test_what_the_user_says_wins() -> None:
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        assert chosen(call()) == "flash"
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH]):
        assert (chosen(call()), chosen(call(), "sm_80")) == ("cudnn", "math"), "on sm_80 math is asked before it"
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        assert chosen(call(), "sm_80") == "cudnn"
    order = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    with torchs_order(profile("sm_90")), sdpa_kernel(order, set_priority=True):
        assert backend(profile("sm_90"), call()) == "efficient"
    with sdpa_kernel(order, set_priority=True):  # set before, as by a program that counts within
        assert chosen(call()) == "efficient"


MASKS = {"2d": (12, 12), "one row": (1, 12), "4d": (1, 1, 12, 12), "of each head": (1, 4, 12, 12)}


@pytest.mark.parametrize("shape", MASKS.values(), ids=MASKS)
def test_cudnn_takes_masks(shape: tuple[int, ...]) -> None:
    assert chosen(call(torch.empty(shape, dtype=torch.bool, device="meta"))) == "cudnn"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (call(dtype=torch.float32), "efficient"),
        (call(width=84), "flash"),
        (call(width=136), "cudnn"),
        (call(width=256), "cudnn"),
        (call(width=264), "efficient"),
        (call(width=128), "cudnn"),
        (call(tokens=1), "flash"),
        (call(batch=65_535), "cudnn"),
        (call(batch=65_536), "flash"),
        (call(number=65_536), "flash"),
        (call(dropout=0.1), "flash"),
        (call(dropout=0.125), "cudnn"),
        (call(torch.empty(1, 12, 12, device="meta", dtype=HALF)), "efficient"),
        (call(torch.empty(12, 11, device="meta", dtype=HALF)), "efficient"),
        (call(torch.empty(12, 12, device="meta", dtype=HALF, requires_grad=True)), "efficient"),
        (Call(heads(width=192), heads(width=192), heads(width=128)), "cudnn"),
        (Call(heads(), heads(number=2), heads(number=2), gqa=True), "cudnn"),
        (Call(heads(), heads(number=2), heads(number=4), gqa=True), "cudnn"),
        (Call(heads(), heads(number=2), heads(number=3), gqa=True), "math"),
        (call(gqa=True, dtype=torch.float32), "efficient"),
        (Call(*(heads(number=each, dtype=torch.float32) for each in (4, 2, 2)), gqa=True), "math"),
        (Call(heads(), heads(number=3), heads(number=3), gqa=True), "math"),
        (Call(heads(), heads(number=2), heads(number=2)), "math"),
        (Call(heads(), heads(tokens=9), heads(tokens=9), causal=True), "cudnn"),
    ],
)
def test_what_cudnn_takes_and_who_does_where_it_does_not(asked: Call, expected: str) -> None:
    assert chosen(asked) == expected


def test_wider_heads_on_hopper_from_9_10_on_and_one_shape_on_blackwell() -> None:
    """As torch 2.11 to 2.13 have it."""
    deepseek = Call(heads(width=192), heads(width=192), heads(width=128))
    assert chosen(call(width=256), "sm_100", "9.25") == "flash"
    assert chosen(deepseek, "sm_100") == "cudnn"
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        assert chosen(call(width=256), "sm_90", "9.10") == "cudnn"
        assert chosen(deepseek, "sm_100", "9.11") == "cudnn"
        for asked, gpu, cudnn in (
            (call(width=264), "sm_90", "9.25"),
            (call(width=256), "sm_90", "9.9"),
            (call(width=256), "sm_89", "9.25"),
            (call(width=192), "sm_100", "9.25"),
            (deepseek, "sm_100", "9.10"),
            (deepseek, "sm_89", "9.25"),
        ):
            with pytest.raises(RuntimeError, match="No available kernel"):
                chosen(asked, gpu, cudnn)
        with pytest.raises(RuntimeError, match="No available kernel"):  # 9.11 to 9.13 drop nothing out
            chosen(call(dropout=0.125), cudnn="9.12")


def test_deterministic_algorithms_keep_cudnn_out_unless_they_only_warn() -> None:
    try:
        torch.use_deterministic_algorithms(True)
        assert chosen(call()) == "flash"
        torch.use_deterministic_algorithms(True, warn_only=True)
        assert chosen(call()) == "cudnn"
    finally:
        torch.use_deterministic_algorithms(False)


def test_operands_that_begin_within_16_bytes_are_not_for_efficient_attention() -> None:
    wide = torch.empty(1, 4, 12, 84, device="meta")
    for begin, expected in ((0, "efficient"), (4, "efficient"), (2, "math")):
        asked = Call(*(wide[..., begin : begin + 80] for _ in range(3)))
        assert chosen(asked, "sm_80") == expected
        assert chosen(asked, "sm_75") == "efficient"


def test_an_old_gpu_takes_float32_of_any_width() -> None:
    assert chosen(call(width=81, dtype=torch.float32), "sm_75") == "efficient"
    assert chosen(call(width=81, dtype=torch.float32), "sm_80") == "math"


def test_flash_learns_no_wide_heads_on_smaller_gpus() -> None:
    wide = call(width=224, grad=True)
    assert [chosen(wide, gpu) for gpu in ("sm_80", "sm_86", "sm_89")] == ["flash", "efficient", "efficient"]
    assert chosen(call(width=256, grad=True), "sm_86") == "flash"
    with torch.no_grad():
        assert chosen(wide, "sm_86") == "flash"


def test_flash_is_causal_only_where_both_are_as_long() -> None:
    asked = Call(heads(), heads(tokens=9), heads(tokens=9), causal=True)
    assert chosen(asked, "sm_80") == "efficient"
    assert chosen(call(causal=True), "sm_80") == "flash"
