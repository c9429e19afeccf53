"""A profiler's capture held against the model: its kernels beside the tables, its host beside other captures' hosts."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import Field

from vlbench.errors import UsageError
from vlbench.kernel_times import board
from vlbench.nsys.operators import Operator, operators_of
from vlbench.nsys.read import load
from vlbench.predicting.captured_host import act_times, apart
from vlbench.predicting.checked import board_of
from vlbench.predicting.host import AT, ActTimes, Seen, host_times
from vlbench.predicting.kernels import By, Kernels, Took, unknown
from vlbench.predicting.pays import MICRO
from vlbench.predicting.predicted import Band
from vlbench.record.base import Amount, Checksummed, Count, Record, grid_text
from vlbench.record.grouping import gathered
from vlbench.record.sequence import Event, Kind, Operand, itemsize, product_of

Verdict = Literal["hit", "miss", "not predicted"]
NEAR, INSIDE = 1.25, (0.65, 0.95)
"""Of a host's act that is a hit: how many times the other of two medians one may be, and which share of the samples the
band of their middle 80 % may hold."""
ATTENDS = re.compile(r"attention|attn")
_RESULT_AS_LARGE = "add sub rsub mul div neg exp pow sqrt rsqrt sigmoid silu gelu tanh relu clamp copy fill zero"
POINTWISE = frozenset(_RESULT_AS_LARGE.split())
"""Operators whose result is as large as their operands together are broad, in the widest of their dtypes."""


class HeldKernels(Record):
    """All runs of one operator on tensors of one kind of shapes."""

    operation: str
    shapes: str
    by: str
    """What the prediction is by: products, attention, or the bytes that it moves."""
    runs: Count
    captured: Amount
    """Seconds of the device in one run: the median."""
    predicted: Band | None
    why_not: str = ""

    @property
    def verdict(self) -> Verdict:
        """Does what was captured lie in the band?"""
        if self.predicted is None:
            return "not predicted"
        return "hit" if self.predicted.low <= self.captured <= self.predicted.high else "miss"


class HeldHost(Record):
    """One act of the host of one capture, beside the figures of the other captures."""

    capture: str
    act: str
    count: Count
    fast: Amount
    """Microseconds, of the others, their 10th percentile; of an attention call: times a launch."""
    slow: Amount
    """Their median."""
    high: Amount | None = None
    """Their 90th percentile."""
    seen: tuple[Amount, ...]
    """Of this capture, its own 10th and 90th percentile."""
    median: Amount | None = None
    """Its own; None in files that were written before it was kept."""
    inside: Amount | None = None
    """The share of this capture's samples between the others' 10th and 90th percentile."""

    @property
    def near(self) -> bool | None:
        """Is neither median more than `NEAR` times the other? None where there is no telling."""
        return None if self.median is None else self.slow <= NEAR * self.median and self.median <= NEAR * self.slow

    @property
    def verdict(self) -> Verdict:
        """Is the median near, and does the band of the middle 80 % hold about as many?"""
        if self.median is None or self.inside is None:
            return "not predicted"
        return "hit" if self.near and INSIDE[0] <= self.inside <= INSIDE[1] else "miss"


class HeldCapture(Checksummed):
    """What `vlbench predict --capture` says of a file."""

    schema_version: Literal[2] = 2
    figures: Literal["predicted beside captured"] = "predicted beside captured"
    capture: str
    version: str
    """Of the profiler."""
    gpus: tuple[str, ...]
    """As the capture names them."""
    gpu: str
    """The board whose kernel times were taken; "" where there is none."""
    why_no_gpu: str = ""
    busy: Amount
    """Seconds of all its kernels, fills and copies, as a prediction has them."""
    named: Amount | None = None
    """Of these, what belongs to an operator that the capture names."""
    kernels: tuple[HeldKernels, ...] = ()
    """Those whose shapes the capture names."""
    hosts: tuple[HeldHost, ...] = ()
    notes: tuple[str, ...] = Field(default=())
    """What was not understood of the capture."""

    @property
    def complete(self) -> bool:
        """Was anything of it predicted?"""
        return bool(self.hosts) or any(each.predicted for each in self.kernels)


def held_capture(path: Path, gpu: str | None = None) -> HeldCapture:
    """The capture at `path` held against the board `gpu`, a name or a file, or that of the GPU that it names.

    Raises UsageError for what is no capture or no board, and for a board of another GPU.
    """
    capture = load(path)
    name, why = _board_name(gpu, capture.gpus)
    ops, operators = capture.gpu_ops, operators_of(path, capture) if name else []
    found = _held_kernels(operators, Kernels(board(name))) if name else ()
    known = {each.act: each for each in host_times().acts}
    held = (held_host(known[act.act], seen) for act in apart(act_times([path])) for seen in act.seen)
    return HeldCapture(
        capture=path.name,
        version=capture.version,
        gpus=tuple(dict.fromkeys(capture.gpus)),
        gpu=board(name).name if name else "",
        why_no_gpu=why,
        busy=float((ops["end"] - ops["start"]).sum()) * 1e-9,
        named=sum(each.us for each in operators) * MICRO,
        kernels=tuple(found),
        hosts=tuple(each for each in held if each is not None),
        notes=capture.notes,
    ).with_checksum()


def _board_name(asked: str | None, gpus: Sequence[str]) -> tuple[str, str]:
    """The board to ask, and why there is none."""
    try:
        own = board_of(gpus[0], "--capture") if gpus else ""
    except UsageError as error:
        own, why = "", str(error).removeprefix("--capture: ")
    else:
        why = "" if own else "the capture does not name its GPU; --gpu names its board"
    if asked and gpus and not asked.endswith((".json", ".gz")) and asked != own:
        raise UsageError(
            f"--gpu {asked}: {gpus[0]} is the GPU of the capture; leave --gpu out, or give its board's file"
        )
    return (asked, "") if asked else (own, why)


def held_host(known: ActTimes, seen: Seen) -> HeldHost | None:
    """What a capture says of an act beside what all others say; None where no other says anything."""
    others = known.model_copy(update={"seen": tuple(each for each in known.seen if each.capture != seen.capture)})
    if not others.seen:
        return None
    fast, slow, high = (others.at(quantile) for quantile in (*AT.values(), 0.9))
    return HeldHost(
        capture=seen.capture,
        act=known.act,
        count=seen.count,
        fast=fast,
        slow=slow,
        high=high,
        seen=(seen.at(0.1), seen.at(0.9)),
        median=seen.at(0.5),
        inside=round(seen.inside(fast, high), 4),
    )


def _held_kernels(operators: Sequence[Operator], kernels: Kernels) -> Iterator[HeldKernels]:
    """By operator and shapes, those that took the most first."""
    alike = gathered(((each.name, each.operands, each.over_bus), each.us) for each in operators)
    for (name, operands, over_bus), us in sorted(alike.items(), key=lambda item: -sum(item[1])):
        took = _took(name, operands, kernels) if over_bus is None else _copied(over_bus, kernels)
        told = not took.why_not
        yield HeldKernels(
            operation=name,
            shapes=" ".join(grid_text(each.shape) for each in operands or ()),
            by=took.by.value if told else "",
            runs=len(us),
            captured=median(us) * MICRO,
            predicted=Band(low=took.low * MICRO, high=took.high * MICRO) if told else None,
            why_not=took.why_not,
        )


def _copied(size: int, kernels: Kernels) -> Took:
    if size < 0:
        return unknown(By.BYTES, "the capture does not say how many bytes it copies")
    return kernels.copied(Event(Kind.UPLOAD, bytes=size))


def _took(name: str, operands: tuple[Operand, ...] | None, kernels: Kernels) -> Took:
    """What the board's tables say, or why they say nothing."""
    if operands is None:
        return unknown(By.BYTES, "the capture does not name its shapes")
    event = Event(Kind.OPERATION, name, operands=operands, attention="a kernel" if ATTENDS.search(name) else "")
    try:
        product = product_of(event)
    except (ValueError, IndexError):  # a trace may say anything
        return unknown(By.PRODUCT, "such shapes are none of that operator")
    if not event.attention and product is None:
        if not (results := _pointwise(name.removeprefix("aten::").rstrip("_"), operands)):
            return unknown(By.BYTES, "what it writes does not follow from its operands")
        event = Event(Kind.OPERATION, name, operands=operands, results=results)
    return kernels.took(event)


def _pointwise(name: str, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """The result of such an operator; none of another."""
    if name not in POINTWISE or not operands:
        return ()
    sizes = zip_longest(*(reversed(each.shape) for each in operands), fillvalue=1)
    shape = tuple(reversed([max(each) for each in sizes]))
    widest = max((each.dtype for each in operands), key=itemsize)
    return (Operand.dense(shape, widest),)
