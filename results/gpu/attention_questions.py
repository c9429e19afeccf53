"""Questions about attention as torch runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from results.gpu.asking import (
    HEADS,
    WIDTH,
    Heads,
    Samples,
    first_call,
    heads,
    on_device,
    or_why,
    question,
    samples,
    spans,
)
from vlbench.implementations.optimized.varlen import varlen_attention
from vlbench.trial.difference import relative_error

SHAPES = ((1, 64), (25, 64), (1, 1296), (1, 1))
"""Batch and tokens: a window, all windows of a picture, a whole picture, one patch."""
FLASH = SDPBackend.FLASH_ATTENTION


def _masked(device: torch.device, tokens: int) -> dict[str, Tensor | None]:
    return {"": None, ", masked": torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=device)}


@question()
def attention_backend(device: torch.device) -> dict[str, Any]:
    """Which attention does torch choose, by dtype, head size, shape and mask?"""
    chosen = {}
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for width in (WIDTH, 72, 64):
            for batch, tokens in SHAPES:
                for word, mask in _masked(device, tokens).items():
                    label = f"{str(dtype).removeprefix('torch.')}, head {width}, {batch} x {tokens} tokens{word}"
                    inputs = heads(device, batch, tokens, dtype, width)
                    number = or_why(partial(torch._fused_sdp_choice, *inputs, attn_mask=mask))
                    chosen[label] = SDPBackend(number).name if isinstance(number, int) else number
    return {"chosen": chosen}


@question()
def attention_kernels(device: torch.device) -> dict[str, Any]:
    """What are the kernels of one call of attention called?"""
    found = {}
    for word, mask in _masked(device, 64).items():
        call = partial(F.scaled_dot_product_attention, *heads(device, 25, 64), attn_mask=mask)
        call()
        found[f"25 x 64 tokens{word}"] = on_device(call, device)
    return {"kernels": found}


@question(60, wants_gpu=True)
def attention_plans(device: torch.device) -> dict[str, Any]:
    """What does the first call cost with another length, batch or stride, as torch chooses and without cuDNN?"""

    def costs(inputs: list[Heads]) -> Samples:
        calls = [partial(F.scaled_dot_product_attention, *each) for each in inputs]
        return samples([first_call(call, device) for call in calls])

    ways: dict[str, AbstractContextManager[None]] = {"as chosen": nullcontext(), "flash": sdpa_kernel(FLASH)}
    found: dict[str, Any] = {}
    for name, way in ways.items():
        lengths = [heads(device, 1, tokens) for tokens in (48, 80, 112, 144, 208, 272, 400, 528)]
        with way, ThreadPoolExecutor(1) as another_thread:
            costs([heads(device, 1, 32)])  # loads what is loaded once
            found[name] = {
                "new lengths": costs(lengths),
                "the same lengths again": costs(lengths),
                "the same lengths on another thread": another_thread.submit(costs, lengths).result(),
                "new batches": costs([heads(device, batch, 64) for batch in (1, 2, 3, 5, 9, 25, 64)]),
                "one window of larger and larger pictures": costs([_window(device, 4000 + 4 * n) for n in range(4)]),
            }
    return found


def _window(device: torch.device, tokens: int) -> Heads:
    """The first 64 of all tokens, [1, heads, 64, width], whose strides hold how many there are."""
    whole = torch.randn(HEADS, tokens, WIDTH, device=device, dtype=torch.bfloat16)
    window = whole[None, :, :64]
    return window, window, window


@question(60)
def attention_speed(device: torch.device) -> dict[str, Any]:
    """How long does each kind of attention take on shapes that it knows?"""
    shapes = ((1, 64), (25, 64), (215, 64), (1, 1296), (1, 4592)) if device.type == "cuda" else ((1, 16),)
    found: dict[str, Any] = {}
    for batch, tokens in shapes:
        timed = partial(spans, partial(F.scaled_dot_product_attention, *heads(device, batch, tokens)), device)
        found[f"{batch} x {tokens} tokens"] = row = {"as chosen": timed()}
        for backend in (SDPBackend.CUDNN_ATTENTION, FLASH, SDPBackend.EFFICIENT_ATTENTION):
            with sdpa_kernel(backend):
                row[backend.name] = or_why(timed)
    return found


@question(40, wants_gpu=True)
def attention_in_one_call(device: torch.device) -> dict[str, Any]:
    """How far off is varlen, on views of one projection and with an empty segment, and how long does it take?"""
    bounds, longest = torch.tensor([0, 64, 64, 100, 1296], dtype=torch.int32, device=device), 1196

    def told(width: int) -> dict[str, Any]:
        q, k, v = torch.randn(1296, 3, HEADS, width, device=device, dtype=torch.bfloat16).unbind(1)
        exact = varlen_attention(q.float(), k.float(), v.float(), bounds, longest)
        call = partial(varlen_attention, q, k, v, bounds, longest)
        return {"error": relative_error(call(), exact), "times": spans(call, device)}

    return {f"head {width}": or_why(partial(told, width)) for width in (WIDTH, 72, 64)}
