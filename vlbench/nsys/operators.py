"""Torch's operators in a trace of its profiler, with the shapes they were given and what their kernels took."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.errors import UsageError
from vlbench.nsys.frames import Capture
from vlbench.nsys.kineto import parsed_events, thread_of, times_of
from vlbench.nsys.names import DTYPES
from vlbench.record.sequence import Operand

CALLED = ("cpu_op", "operator")
"""What traces file them under."""


@dataclass(frozen=True)
class Operator:
    """One call of an operator that itself asked for kernels, fills and copies on the device, or over the bus.

    One that asked for both is there twice.
    """

    name: str
    operands: tuple[Operand, ...] | None
    """Its tensors; None where the trace does not say, or has lists among them."""
    us: float
    """Of the device, all of it together."""
    over_bus: int | None = None
    """Bytes that it copied to or from the host; None of an operator that did not, -1 where the trace does not say."""


def operators_of(path: Path, capture: Capture) -> list[Operator]:
    """The operators of the trace at `path`, which was read as `capture`; none of a capture by nsys, which names no
    shapes. Raises UsageError for a trace that is damaged."""
    try:
        return list(_operators(path, capture)) if capture.source == "kineto" else []
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        told = f"an operator of the trace has a time, thread or shape of no known form ({error})"
        raise UsageError(f"{path}: {told}") from error


def _operators(path: Path, capture: Capture) -> Iterator[Operator]:
    work = capture.gpu_ops[capture.gpu_ops["api"] >= 0]
    asked = capture.api.loc[work["api"].unique()]
    ran: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
    lengths, over_bus = work["end"] - work["start"], work["direction"].isin(["HtoD", "DtoH"])
    for row, ns, copied, size in zip(work["api"], lengths, over_bus, work["bytes"], strict=True):
        ran[int(row)].append((int(ns), int(size) if copied else None))
    calls: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, tid, start in zip(asked.index, asked["tid"], asked["start"], strict=True):
        calls[int(tid)].append((int(start), int(row)))
    called = [event for event in parsed_events(path) if str(event.get("cat")).lower() in CALLED and "dur" in event]
    spans: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for index, (start, end) in enumerate(zip(*times_of(called), strict=True)):
        spans[thread_of(called[index])].append((int(start), int(end), index))
    took: dict[tuple[int, bool], list[tuple[int, int | None]]] = defaultdict(list)
    for tid, made in calls.items():
        for index, row in _innermost(spans[tid], made):
            for piece in ran[row]:
                took[index, piece[1] is not None].append(piece)
    for (index, _), pieces in took.items():
        sizes = [each for _, each in pieces if each is not None]
        name, operands = str(called[index].get("name", "")), _operands(called[index].get("args"))
        told = (-1 if min(sizes) < 0 else sum(sizes)) if sizes else None
        yield Operator(name, operands, sum(ns for ns, _ in pieces) / 1000, told)


def _innermost(spans: list[tuple[int, int, int]], calls: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Of each call of one thread: the innermost span that it lies in, and the call."""
    marks = [(start, False, -end, index) for start, end, index in spans]
    marks += [(start, True, 0, row) for start, row in calls]
    around: list[tuple[int, int]] = []
    for start, is_call, end, number in sorted(marks):
        while around and around[-1][0] <= start:
            around.pop()
        if not is_call:
            around.append((-end, number))
        elif around:
            yield around[-1][1], number


def _operands(arguments: Any) -> tuple[Operand, ...] | None:
    given = arguments if isinstance(arguments, dict) else {}
    shapes, kinds = given.get("Input Dims"), given.get("Input type")
    if not isinstance(shapes, list) or not isinstance(kinds, list) or len(shapes) != len(kinds):
        return None
    found = []
    for shape, kind in zip(shapes, kinds, strict=True):
        if not isinstance(shape, list) or not all(isinstance(size, int) and size >= 0 for size in shape):
            return None
        if shape and kind not in DTYPES:
            return None
        if shape:  # a scalar is no tensor that counts
            found.append(Operand.dense(tuple(shape), DTYPES[kind]))
    return tuple(found)
