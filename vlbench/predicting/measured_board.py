"""One board more: what the device here takes for products, attention and moved bytes, at the shapes of stored tables.

On a GPU each call is queued behind work that outlasts the time in which it is issued, so that the host has no share in
its time. Weights rotate, so that they come from memory as in a tower, and not from L2.
"""

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from itertools import accumulate, cycle, pairwise, product
from statistics import median

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear, scaled_dot_product_attention

from vlbench.counting.run import Steps
from vlbench.counting_device import PROFILES
from vlbench.errors import UsageError
from vlbench.kernel_times import board
from vlbench.kernel_times.stored import Memory, Source, StoredBoard, TimeTable
from vlbench.record.schema import Device, Dtype
from vlbench.trial.clock import SYNCHRONIZE, occupy
from vlbench.version import __version__

LIKE = "h100"
"""Whose shapes are taken: all stored boards have these."""
STRIDES = (8, 4, 2, 1)
"""Between steps that are measured one after the other: a coarse grid of all pairs first, then what lies between."""
SLOWEST = 0.01
"""Seconds: calls that would take longer are left out, and look-ups go on from the last row by its work."""
SAMPLES, LEAST_SECONDS, MOST_CALLS = 3, 50e-6, 10
"""Of each time so many samples, each of this length or so many calls: on a GPU their median, on a CPU the least."""
ISSUE = 20e-6
"""Seconds to issue a call, a high guess: where it took longer, the call is timed again behind more work."""
WEIGHTS = 8
"""Weights that rotate."""
POOL = {"cpu": 1 << 24, "cuda": 1 << 28}
"""Numbers from which all operands are cut, by kind of device."""
COPIES = {"cpu": 1 << 26, "cuda": 1 << 30}
"""Bytes of the longest copy."""
PROFILE_OF_CPU = "sm_90"
"""A CPU is counted for as a GPU, too: it takes what its board says for what a GPU would be asked to do."""


class Bench:
    """Times calls on one device, over operands that are cut from one pool."""

    def __init__(self, device: Device, dtype: Dtype) -> None:
        """Draws the pool, and finds how fast a large product is."""
        self.device: Device = device
        self.pool = torch.randn(POOL[device], device=device, dtype=getattr(torch, dtype))
        side = 1024 if device == "cuda" else 256
        self.rate = 2 * side**3 / self.seconds(self.product(side, side, side), 0.0)
        """Floating-point operations per second, by which it is estimated what a call takes."""

    def cut(self, *shapes: tuple[int, ...]) -> list[Tensor] | None:
        """Operands of these shapes, none of which overlap; None where the pool is too small."""
        sizes = [math.prod(shape) for shape in shapes]
        if sum(sizes) > len(self.pool):
            return None
        ends = list(accumulate(sizes))
        places = zip(ends, sizes, shapes, strict=True)
        return [self.pool[end - size : end].view(shape) for end, size, shape in places]

    def product(self, n: int, k: int, m: int) -> Callable[[], object] | None:
        """[m, k] x [k, n]."""
        copies = max(1, min(WEIGHTS, (len(self.pool) - m * k) // (n * k)))
        operands = self.cut((m, k), *[(n, k)] * copies)
        if operands is None:
            return None
        weights = cycle(operands[1:])
        return lambda: linear(operands[0], next(weights))

    def attention(self, heads: int, batch: int, length: int, head_dim: int) -> Callable[[], object] | None:
        """A call over so many sequences of one length, in the layout that a product leaves."""
        operands = self.cut(*[(batch, length, heads, head_dim)] * 3)
        if operands is None:
            return None
        q, k, v = (each.transpose(1, 2) for each in operands)
        return lambda: scaled_dot_product_attention(q, k, v)

    def seconds(self, call: Callable[[], object] | None, estimate: float) -> float:
        """What a call takes. Raises TimeoutError where the host cannot issue it faster than the device works it off."""
        assert call is not None
        call()
        calls = max(1, min(MOST_CALLS, round(LEAST_SECONDS / max(estimate, 1e-6))))
        if self.device == "cpu":  # other programs share it, and they only ever add to a time
            return min(_by_the_wall(call, calls) for _ in range(SAMPLES))
        ahead = SAMPLES * calls * ISSUE
        for _ in range(3):
            found, issued = _by_events(call, calls, ahead)
            if not is_late(issued, ahead):
                return found
            ahead = 2 * issued
        raise TimeoutError


def is_late(issued: float, ahead: float) -> bool:
    """Was the device done with what it had to do before all was issued?"""
    return issued > ahead


def _by_the_wall(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _by_events(call: Callable[[], object], calls: int, ahead: float) -> tuple[float, float]:
    """Seconds of a call on the device, and those in which all of them were issued."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(SAMPLES + 1)]  # type: ignore[no-untyped-call]
    SYNCHRONIZE["cuda"]()
    occupy(ahead)
    start = time.perf_counter()
    events[0].record()
    for event in events[1:]:
        for _ in range(calls):
            call()
        event.record()
    issued = time.perf_counter() - start
    SYNCHRONIZE["cuda"]()
    spans = [one.elapsed_time(other) * 1e-3 / calls for one, other in pairwise(events)]
    return median(spans), issued


def measured_board(
    device: Device, gpu: str, dtype: Dtype, seconds: float, steps: Steps = lambda done, of: None
) -> StoredBoard:
    """The board of the device here, without hold-out errors, within so many seconds.

    Raises UsageError where they are too few for a coarse grid of all shapes.
    """
    began, profile = time.monotonic(), profile_of(device)
    with torch.inference_mode(), _attending(device):
        bench = Bench(device, dtype)
        memory = _memory(bench)
        tables = _Tables(bench, dtype)
        for done, of, is_coarse, measure in tables.in_order():
            passed = time.monotonic() - began
            if passed > seconds and not is_coarse:
                break
            if passed > seconds:
                raise UsageError(
                    f"--budget {seconds:g}: only {done:,} of {of:,} shapes were measured, which is no board; give more"
                )
            measure()
            if passed >= 1:
                steps(int(passed), max(int(seconds), int(passed)))
    today = datetime.now(UTC).date().isoformat()
    source = Source(
        package="vlbench calibrate",
        version=__version__,
        licence="Apache-2.0",
        copyright="",
        taken=today,
        changes=f"measured with torch {torch.__version__}, attention by its own scaled_dot_product_attention",
    )
    return StoredBoard(
        board=named(gpu),
        gpu=gpu[:300],
        profile=profile,
        source=source,
        memory=memory,
        tables=tables.stored(),
        sms=torch.cuda.get_device_properties().multi_processor_count if device == "cuda" else None,
    )


def named(gpu: str) -> str:
    """A board's name, of what the driver calls it."""
    return "measured-" + re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")[:50]


def profile_of(device: Device) -> str:
    """What the counting device answers for in its place. Raises UsageError where it has no such answers."""
    if device == "cpu":
        return PROFILE_OF_CPU
    found = "sm_{}{}".format(*torch.cuda.get_device_capability())
    if found not in PROFILES:
        raise UsageError(f"calibrate: there is no profile for {found}; those known are {', '.join(PROFILES)}")
    return found


def _attending(device: Device) -> AbstractContextManager[object]:
    """cuDNN would build a plan for every shape, which takes tens of milliseconds each."""
    return sdpa_kernel(SDPBackend.FLASH_ATTENTION) if device == "cuda" else nullcontext()


class _Tables:
    """What was measured so far, at the shapes of a stored board."""

    def __init__(self, bench: Bench, dtype: Dtype) -> None:
        self._bench, self._dtype = bench, dtype
        first = {(each.what, each.head_dim): each for each in board(LIKE).stored.tables[::-1] if "16" in each.dtype}
        self._like = list(first.values())[::-1]
        self._us: list[dict[tuple[int, int, int], float]] = [{} for _ in self._like]

    def in_order(self) -> Iterator[tuple[int, int, bool, Callable[[], None]]]:
        """How many were measured, of how many, whether it is one of the coarse grid, and what measures it."""
        done, of = 0, sum(len(each.steps) * len(each.pairs) for each in self._like)
        for stride in STRIDES:
            for number, like in enumerate(self._like):
                for step, pair in product((*like.steps[::stride], like.steps[-1]), like.pairs):
                    if (*pair, step) in self._us[number]:
                        continue
                    yield done, of, stride == STRIDES[0], lambda at=(number, *pair, step): self._measure(*at)  # type: ignore[misc]
                    done += 1

    def _measure(self, number: int, first: int, second: int, step: int) -> None:
        like, bench = self._like[number], self._bench
        work = 2.0 * first * second * step
        if like.what == "attention":
            work *= 2 * step * like.head_dim
        estimate, found = work / bench.rate, math.nan
        if estimate <= SLOWEST:
            call = (
                bench.product(first, second, step)
                if like.what == "product"
                else bench.attention(first, second, step, like.head_dim)
            )
            if call is not None:
                with suppress(TimeoutError):
                    found = bench.seconds(call, estimate) * 1e6
        self._us[number][first, second, step] = found

    def stored(self) -> tuple[TimeTable, ...]:
        """The tables, without steps and pairs at which nothing was measured."""
        return tuple(filter(None, map(self._stored, self._like, self._us)))

    def _stored(self, like: TimeTable, us: dict[tuple[int, int, int], float]) -> TimeTable | None:
        there = {key: value for key, value in us.items() if value > 0}  # and no NaN
        steps = [step for step in like.steps if any(key[2] == step for key in there)]
        pairs = [pair for pair in like.pairs if any(key[:2] == pair for key in there)]
        if not there:
            return None
        rows = [[there.get((*pair, step)) for step in steps] for pair in pairs]
        return TimeTable(
            what=like.what,
            engine=f"torch {torch.__version__}",
            kernel="linear" if like.what == "product" else "scaled_dot_product_attention",
            dtype=self._dtype,
            head_dim=like.head_dim,
            steps=tuple(steps),
            pairs=tuple(pairs),
            us=tuple(tuple(each and float(f"{each:.4g}") for each in row) for row in rows),
        )


def _memory(bench: Bench) -> Memory:
    """Rates of memory and bus, as kernels reach them, and the time of the shortest kernel."""
    rate = _rate(bench, COPIES[bench.device])
    short = bench.pool[:64]
    l2 = getattr(torch.cuda.get_device_properties(), "L2_cache_size", 0) if bench.device == "cuda" else 0
    return Memory(
        bytes_per_s=rate,
        factor=1.0,
        constant_us=bench.seconds(lambda: torch.neg(short), 0.0) * 1e6,
        l2_bytes=l2,
        pcie_bytes_per_s=_bus_rate(bench) if bench.device == "cuda" else rate,
    )


def _rate(bench: Bench, size: int) -> float:
    """Bytes per second that are read and written."""
    source = torch.ones(size // 4, device=bench.device)
    goal = torch.ones_like(source)
    return 2 * size / bench.seconds(lambda: torch.neg(source, out=goal), SLOWEST)


def _bus_rate(bench: Bench) -> float:
    size = 1 << 26
    source = torch.empty(size // 4, pin_memory=True)
    goal = torch.empty(size // 4, device="cuda")
    return size / bench.seconds(lambda: goal.copy_(source, non_blocking=True), SLOWEST)
