"""The machine card is measured here: each figure the median of repeats within its share of the time."""

import time
from collections.abc import Callable
from statistics import median
from typing import Literal

import torch
from rich.console import Console
from torch import Tensor

from vlbench.record.machine_card import CopyCost, MachineCard
from vlbench.record.precision import tf32_turned_off
from vlbench.trial.clock import clock_for
from vlbench.trial.rounds import without_collector

COPY_SIZES = (4 * 2**10, 64 * 2**10, 2**20, 16 * 2**20)
"""From a plan's index tensors to the pixels of a photo, in bytes."""
GEMM_SIZE = {"cpu": 512, "cuda": 4096}
BIG_COPY = {"cpu": 64 * 2**20, "cuda": 256 * 2**20}
LAUNCHES = 200
"""Issued in a row; CUDA's queue holds more, so that the host never waits for room in it."""
LOOPS = 20_000
MIN_REPEATS = 5

Probe = Callable[[], float]
"""Measures once: seconds for one of what is measured."""


def measured_card(device: Literal["cpu", "cuda"]) -> MachineCard:
    """The card, for a command: says on stderr what is being done, and draws nothing more while it is."""
    with Console(stderr=True).status("measuring the machine itself", refresh_per_second=0.1):
        return take_machine_card(device)


def take_machine_card(device: Literal["cpu", "cuda"], seconds: float = 2.0) -> MachineCard:
    """Measure this machine's card in about `seconds`, with the threads that torch is set to.

    `device` "cuda" is CUDA's device 0. At least five repeats of each figure are made, however little time is given.
    """
    begin = time.perf_counter()
    with torch.inference_mode(), without_collector(), tf32_turned_off():
        probes = _probes(device)
        share = (seconds - (time.perf_counter() - begin)) / len(probes)
        took = {name: _median(probe, share) for name, probe in probes.items()}
    del probes
    if device == "cuda":
        torch.cuda.empty_cache()  # or the card's buffers would count among what is measured next
    size = GEMM_SIZE[device]
    gflop = 2 * size**3 * 1e-9
    us = {name: seconds * 1e6 for name, seconds in took.items()}
    return MachineCard(
        device=device,
        torch_threads=torch.get_num_threads(),
        took_seconds=time.perf_counter() - begin,
        launch_us=us["launch"],
        sync_us=us.get("sync"),
        round_trip_us=us.get("round trip"),
        copies=tuple(
            CopyCost(
                size_bytes=copied,
                host_us=us[f"host {copied}"],
                pageable_us=us.get(f"pageable {copied}"),
                pinned_us=us.get(f"pinned {copied}"),
            )
            for copied in COPY_SIZES
        ),
        gemm_size=size,
        gemm_fp32_gflops=gflop / took["float32"],
        gemm_bf16_gflops=gflop / took["bfloat16"] if "bfloat16" in took else None,
        copy_gb_s=2 * BIG_COPY[device] * 1e-9 / took["copy"],
        python_loops_per_s=1 / took["python"],
        clock_step_ns=min(_clock_step() for _ in range(1000)),
    )


def _probes(device: Literal["cpu", "cuda"]) -> dict[str, Probe]:
    one = torch.ones(1, device=device)
    probes = {"python": _timed(_python_loop, LOOPS), "launch": _launches(one), "copy": _big_copy(device)}
    for size in COPY_SIZES:
        host = torch.ones(size, dtype=torch.uint8)
        probes[f"host {size}"] = _copies(torch.zeros_like(host), host)
        if device == "cuda":
            there = torch.zeros_like(host, device=device)
            probes[f"pageable {size}"] = _copies(there, host)
            probes[f"pinned {size}"] = _copies(there, host.pin_memory())
    probes["float32"] = _product(device, torch.float32)
    if device == "cuda":
        probes["bfloat16"] = _product(device, torch.bfloat16)
        probes["sync"] = _timed(torch.cuda.synchronize)
        probes["round trip"] = _round_trip(one)
    return probes


def _timed(act: Callable[[], object], times: int = 1) -> Probe:
    """Seconds of `act`, which does what is measured `times` times, by the wall clock."""

    def probe() -> float:
        start = time.perf_counter_ns()
        act()
        return (time.perf_counter_ns() - start) * 1e-9 / times

    return probe


def _python_loop() -> int:
    total = 0
    for number in range(LOOPS):
        total = (total * 3 + number) & 0xFFFF
    return total


def _launches(one: Tensor) -> Probe:
    def launch() -> None:
        for _ in range(LAUNCHES):
            one.add_(1)

    issue = _timed(launch, LAUNCHES)

    def probe() -> float:
        if one.is_cuda:
            torch.cuda.synchronize()  # an empty queue, or the host waits for room in it
        return issue()

    return probe


def _round_trip(one: Tensor) -> Probe:
    def there_and_back() -> None:
        one.add_(1)
        torch.cuda.synchronize()

    return _timed(there_and_back)


def _copies(goal: Tensor, source: Tensor) -> Probe:
    """Small copies several times in a row, each awaited."""
    times = max(1, 2**20 // source.nbytes)

    def copy() -> None:
        for _ in range(times):
            goal.copy_(source, non_blocking=True)  # pageable memory blocks all the same
            if goal.is_cuda:
                torch.cuda.synchronize()

    return _timed(copy, times)


def _product(device: Literal["cpu", "cuda"], dtype: torch.dtype) -> Probe:
    # Random numbers: a GPU draws less power, and so clocks higher, on a matrix of ones.
    matrix = torch.randn(GEMM_SIZE[device], GEMM_SIZE[device], device=device, dtype=dtype)
    product, clock = torch.empty_like(matrix), clock_for(device)
    return lambda: clock(lambda: {"product": torch.mm(matrix, matrix, out=product)}).seconds


def _big_copy(device: Literal["cpu", "cuda"]) -> Probe:
    source = torch.ones(BIG_COPY[device], dtype=torch.uint8, device=device)
    goal, clock = torch.zeros_like(source), clock_for(device)
    return lambda: clock(lambda: {"copy": goal.copy_(source)}).seconds


def _median(probe: Probe, seconds: float) -> float:
    probe()  # the first one pays for page faults, kernels and workspaces
    end, times = time.perf_counter() + seconds, list[float]()
    while len(times) < MIN_REPEATS or time.perf_counter() < end:
        times.append(probe())
    return median(times)


def _clock_step() -> int:
    start = time.perf_counter_ns()
    while (now := time.perf_counter_ns()) == start:
        pass
    return now - start
