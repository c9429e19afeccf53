"""Questions about waits, copies, products, clocks and memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import record_function

from results.gpu.asking import first_call, heads, holds, on_device, or_why, question, queued, samples, spans
from results.gpu.environment import said_by
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized.transfer import Pinned
from vlbench.towers.models import drawn


@question(wants_gpu=True)
def first_sleep(device: torch.device) -> dict[str, Any]:
    """How much longer is the first `torch.cuda._sleep` of a process than the later ones?"""
    torch.ones(1, device=device)
    sleep = partial(torch.cuda._sleep, 10_000_000)
    return {"ten million cycles": samples([first_call(sleep, device) for _ in range(6)])}


@question()
def first_profile(device: torch.device) -> dict[str, Any]:
    """Does the first profile of a process see every kernel, and does an annotation count as work of the GPU?"""
    matrix = torch.ones(64, 64, device=device)

    def ten() -> None:
        with record_function("annotated"):
            for _ in range(10):
                matrix.add_(1)

    seen = [on_device(ten, device) for _ in range(4)]
    work = [sum("add" in name or "elementwise" in name for name in names) for names in seen]
    return {"additions seen of ten, by profile": work, "annotations": [names.count("annotated") for names in seen]}


@question(wants_gpu=True)
def launch_queue(device: torch.device) -> dict[str, Any]:
    """How many launches does the queue hold before the host has to wait for room in it?"""
    one, times = torch.ones(1, device=device), list[float]()
    one.add_(1)
    with queued(cycles=800_000_000):
        for _ in range(3000):
            start = time.perf_counter()
            one.add_(1)
            times.append(time.perf_counter() - start)
    return {"first_that_waits": next((i for i, t in enumerate(times) if t > 1e-3), None), "launches": samples(times)}


@question(40)
def host_costs(device: torch.device) -> dict[str, Any]:
    """How long does each kind of wait and of copy hold the host, with nothing queued?"""
    one, host = torch.ones((), device=device), torch.randint(100, (648,))
    index, table = torch.randint(100, (1296, 2)), torch.randn(128, 20, device=device)
    bounds = torch.arange(0, 4096, 64, device=device)
    tokens, mask = torch.randn(4096, 1280, device=device), torch.arange(4096, device=device) % 2 == 0
    ways: dict[str, Callable[[], object]] = {
        "add, no wait": lambda: one.add_(1),
        "item": lambda: one.item(),
        "nonzero": lambda: mask.nonzero(),
        "index by a mask": lambda: tokens[mask],
        "slice by two bounds on the device": lambda: tokens[bounds[3] : bounds[4]],
        "index a device table by a host tensor": lambda: table[index],
        "unique_consecutive": lambda: torch.unique_consecutive(bounds),
        "repeat_interleave": lambda: torch.repeat_interleave(bounds // 64),
        "pageable copy": lambda: host.to(device),
        "pageable copy, non_blocking": lambda: host.to(device, non_blocking=True),
    }
    if device.type == "cuda":
        ways |= {"synchronize": torch.cuda.synchronize, "pinned copy": lambda: Pinned()(host, device)}
    return {name: or_why(partial(holds, way, device)) for name, way in ways.items()}


@question(40, wants_gpu=True)
def copies_behind_a_queue(device: torch.device) -> dict[str, Any]:
    """Which copies with `non_blocking=True` are wrong where their memory is freed, overwritten or read too early?"""
    found: dict[str, Any] = {}
    for size in (4 << 10, 64 << 10, 1 << 20, 16 << 20):
        for name, pin in (("pinned", True), ("pageable", False)):
            mine = torch.zeros(size, dtype=torch.uint8, pin_memory=pin)
            there = torch.ones(size, dtype=torch.uint8, device=device)
            with queued():
                start = time.perf_counter()
                sent = mine.to(device, non_blocking=True)
                held = time.perf_counter() - start
                mine.fill_(7)
            with queued():
                back = torch.full((size,), 7, dtype=torch.uint8, pin_memory=pin)
                early = int((back.copy_(there, non_blocking=True) != 1).sum())
            wrong = {"up, overwritten": int((sent != 0).sum()), "down, read at once": early}
            found[f"{name}, {size} B"] = {"wrong bytes": wrong, "held": samples([held])}
    with queued():
        freed = [Pinned()(torch.full((1024,), number), device) for number in range(500)]
    found["pinned, freed at once"] = sum(int((each != number).any()) for number, each in enumerate(freed))
    return found


@question()
def tf32(device: torch.device) -> dict[str, Any]:
    """What do the old and the new switches of TF32 say after each was set, and how exact is fp32 then?"""
    backends = torch.backends
    switches: dict[str, tuple[Any, str]] = {
        "fp32_precision": (backends, "fp32_precision"),
        "cuda.matmul.fp32_precision": (backends.cuda.matmul, "fp32_precision"),
        "cudnn.fp32_precision": (backends.cudnn, "fp32_precision"),
        "cudnn.conv.fp32_precision": (getattr(backends.cudnn, "conv", None), "fp32_precision"),
        "cuda.matmul.allow_tf32": (backends.cuda.matmul, "allow_tf32"),
        "cudnn.allow_tf32": (backends.cudnn, "allow_tf32"),
    }
    settings: dict[str, dict[str, Any]] = {
        "as torch starts": {},
        "the old switches off": {"cuda.matmul.allow_tf32": False, "cudnn.allow_tf32": False},
        "then all of it tf32, as another package may": {"fp32_precision": "tf32"},
        "then matmul tf32 by the new switch": {"cuda.matmul.fp32_precision": "tf32"},
        "then all new switches ieee": {name: "ieee" for name in switches if name.endswith("precision")},
    }
    found: dict[str, Any] = {}
    for name, wanted in settings.items():
        refused = {each: or_why(partial(setattr, *switches[each], value)) for each, value in wanted.items()}
        read = {each: str(or_why(partial(getattr, *at))) for each, at in switches.items()}
        found[name] = {"refused": {k: v for k, v in refused.items() if v}, "read": read, "error": _errors(device)}
    return found


def _errors(device: torch.device) -> dict[str, float]:
    """Relative to fp64: below 1e-6 for fp32, about 3e-4 for TF32."""
    size, generator = (512 if device.type == "cuda" else 64), torch.Generator(device).manual_seed(0)
    one, other = (torch.randn(size, size, device=device, generator=generator) for _ in range(2))
    patches, kernel = one.view(-1, 32, 1, 2, 2), other[:32, :64].reshape(16, 32, 1, 2, 2)
    query = one.view(1, 8, -1, 16)

    def error(call: Callable[..., Tensor], *inputs: Tensor) -> float:
        exact = call(*(each.double() for each in inputs))
        return float((call(*inputs).double() - exact).norm() / exact.norm())

    return {
        "product": error(torch.mm, one, other),
        "Conv3d": error(F.conv3d, patches, kernel),
        "attention": error(F.scaled_dot_product_attention, query, query, query),
    }


@question(60)
def conv3d_or_product(device: torch.device) -> dict[str, Any]:
    """How much slower is the patch embedding as Conv3d than as the matrix product that it equals?"""
    found: dict[str, Any] = {}
    for dtype in (torch.bfloat16, torch.float32):
        for patches in (1296, 13808) if device.type == "cuda" else (16,):
            kernel = torch.randn(1280, 3, 2, 14, 14, device=device, dtype=dtype)
            pixels = torch.randn(patches, 1176, device=device, dtype=dtype)
            convolved = partial(F.conv3d, pixels.view(-1, 3, 2, 14, 14), kernel)
            product = partial(F.linear, pixels, kernel.view(1280, -1))
            times = {"Conv3d": spans(convolved, device, 5), "product": spans(product, device, 5)}
            found[f"{str(dtype).removeprefix('torch.')}, {patches} patches"] = times
    return found


@question(40)
def gate_and_up(device: torch.device) -> dict[str, Any]:
    """What does joining gate and up bring with 3420 columns, which no 8 divides, and with 3424?"""
    found: dict[str, Any] = {}
    like: dict[str, Any] = {"device": device, "dtype": torch.bfloat16}
    for patches in (1296, 13808) if device.type == "cuda" else (16,):
        tokens = torch.randn(patches, 1280, **like)
        for columns in (3420, 3424):
            gate, up = (torch.randn(columns, 1280, **like) for _ in range(2))
            down, whole = torch.randn(1280, columns, **like), torch.cat([gate, up])

            def apart(tokens: Tensor = tokens, gate: Tensor = gate, up: Tensor = up, down: Tensor = down) -> Tensor:
                return F.linear(F.silu(F.linear(tokens, gate)) * F.linear(tokens, up), down)

            def joined(tokens: Tensor = tokens, whole: Tensor = whole, down: Tensor = down) -> Tensor:
                one, other = F.linear(tokens, whole).chunk(2, -1)
                return F.linear(F.silu(one) * other, down)

            found[f"{patches} patches, {columns} columns, apart"] = spans(apart, device)
            found[f"{patches} patches, {columns} columns, joined"] = spans(joined, device)
    return found


@question(60, wants_gpu=True)
def weights_of_gate_and_up(device: torch.device) -> dict[str, Any]:
    """How many bytes of weights does a tower of two blocks keep, with and without joined ones?"""
    config = replace(MODELS["qwen2.5-vl-7b"], depth=2, fullatt_block_indexes=(1,))
    pixels = torch.randn(64, config.patch_dim, device=device, dtype=torch.bfloat16)
    grid, found = torch.tensor([[1, 8, 8]]), {}
    for flags in ((), ("fused-gate-up",)):
        before = torch.cuda.memory_allocated()
        tower = build_tower(config, flags, drawn(config, device, torch.bfloat16))
        built = torch.cuda.memory_allocated() - before
        tower(pixels, grid)
        torch.cuda.synchronize()
        called = torch.cuda.memory_allocated() - before
        found[" ".join(flags) or "apart"] = {"built_bytes": built, "called_bytes": called}
        del tower
    return found


@question(60, wants_gpu=True)
def second_process(device: torch.device) -> dict[str, Any]:
    """Does the board take a second process while this one has it, and in which mode is it?"""
    torch.ones(1, device=device)
    query = ["nvidia-smi", "--query-gpu=compute_mode,mig.mode.current", "--format=csv,noheader"]
    one = [sys.executable, "-c", "import torch; print(torch.ones(1, device='cuda').item())"]
    return {"mode": said_by(query).strip(), "second": said_by(one).strip()}


@question(wants_gpu=True)
def behind_a_queue(device: torch.device) -> dict[str, Any]:
    """How long does a launch hold the host behind a queue, and how long does a wait?"""
    query, one = heads(device, 25, 64), torch.ones((), device=device)
    ways: dict[str, Callable[[], object]] = {
        "add": lambda: one.add_(1),
        "attention": lambda: F.scaled_dot_product_attention(*query),
        "item": lambda: one.item(),
    }
    found: dict[str, Any] = {}
    for name, way in ways.items():
        way()
        times = []
        for _ in range(5):
            with queued(cycles=20_000_000):
                start = time.perf_counter()
                way()
                times.append(time.perf_counter() - start)
        found[name] = samples(times)
    return found
