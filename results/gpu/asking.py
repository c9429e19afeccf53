"""What a question is, and how times are taken for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from vlbench.errors import in_one_line
from vlbench.trial.clock import SYNCHRONIZE, clock_for

HEADS, WIDTH = 16, 80
"""Of the towers of 7B, as is the width of 1280."""

Ask = Callable[[torch.device], dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """One function, asked in a process of its own."""

    asks: str
    answer: Ask
    seconds: float
    """After which it is ended."""
    wants_gpu: bool


QUESTIONS: dict[str, Question] = {}
"""In the order in which they are asked."""


def question(seconds: float = 20, *, wants_gpu: bool = False) -> Callable[[Ask], Ask]:
    """Make a function a question; its docstring is what it asks."""

    def register(answer: Ask) -> Ask:
        asks = " ".join((answer.__doc__ or "").split())
        QUESTIONS[answer.__name__.replace("_", "-")] = Question(asks, answer, seconds, wants_gpu)
        return answer

    return register


class Samples(TypedDict):
    """Times of one thing, in microseconds."""

    median_us: float
    samples_us: list[float]
    """As they came."""


def samples(seconds: list[float]) -> Samples:
    """The times as an answer holds them."""
    taken = [round(each * 1e6, 2) for each in seconds]
    return {"median_us": median(taken), "samples_us": taken}


def spans(call: Callable[[], Tensor], device: torch.device, times: int = 20) -> Samples:
    """Time on the device, by events on a GPU; the first two calls do not count."""
    clock = clock_for(device.type)
    return samples([clock(lambda: {"output": call()}).seconds for _ in range(times + 2)][2:])


def holds(call: Callable[[], object], device: torch.device, times: int = 50) -> Samples:
    """How long a call holds the host while the device has nothing to do; the first two calls do not count."""
    return samples([first_call(call, device, wait=False) for _ in range(times + 2)][2:])


def first_call(call: Callable[[], object], device: torch.device, *, wait: bool = True) -> float:
    """Seconds of one call by the wall clock, with the device's work (`wait`) or without."""
    synchronize = SYNCHRONIZE[device.type]
    synchronize()
    start = time.perf_counter()
    call()
    if wait:
        synchronize()
    return time.perf_counter() - start


def or_why(answer: Callable[[], Any]) -> Any:
    """The answer to a part, or why that part has none: the other parts are answered all the same."""
    try:
        return answer()
    except Exception as error:  # whatever torch says
        return f"not measured: {in_one_line(error)}"


def on_device(call: Callable[[], object], device: torch.device) -> list[str]:
    """What the profiler saw of one call: names of kernels, copies and fills; of operations on a CPU."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        call()
        SYNCHRONIZE[device.type]()
    return [event.name for event in profiler.events() if event.device_type.name == device.type.upper()]


Heads = tuple[Tensor, Tensor, Tensor]


def heads(
    device: torch.device, batch: int, tokens: int, dtype: torch.dtype = torch.bfloat16, width: int = WIDTH
) -> Heads:
    """Query, key and value [batch, heads, tokens, width], laid out as a tower has them."""

    def drawn() -> Tensor:
        return torch.randn(batch, tokens, HEADS, width, device=device, dtype=dtype).transpose(1, 2)

    return drawn(), drawn(), drawn()


@contextmanager
def queued(cycles: int = 200_000_000) -> Iterator[None]:
    """Inside, the GPU is busy for a tenth of a second, and has ended at the end."""
    torch.cuda.synchronize()
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.cuda.synchronize()
