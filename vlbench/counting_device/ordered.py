"""An ordered record of what a forward asks of the device: a listener that keeps all it hears."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from vlbench.counting_device.evaluate import host_of, is_float, tensors_in
from vlbench.counting_device.happening import Happening
from vlbench.counting_device.where import cause_line
from vlbench.record.sequence import Event, Operand


class OrderedRecord:
    """`events` has everything in its order, a few microseconds each; what is equal is kept once.

    with device.count(record := OrderedRecord()) as counter, listen(counter):
        tower(pixels, grid)
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._operands: dict[object, Operand] = {}
        self._lengths: dict[object, tuple[tuple[int, int], ...]] = {}

    def hear(self, now: Happening) -> None:
        """Keep it."""
        event = Event(
            kind=now.kind,
            name=now.name,
            stage=now.stage,
            operands=self._kept(now.arguments),
            results=self._kept(now.results),
            bytes=now.bytes,
            pinned=now.pinned,
            blocking=now.blocking,
            implicit=now.implicit,
            attention=now.attention,
            new_plan=now.new_plan,
            replayed=now.replayed,
            lengths=self._segments(now.arguments) if now.attention else (),
            line=(now.cause.where if now.cause else cause_line()).place,
        )
        self.events.append(event)

    def _kept(self, values: Sequence[Any]) -> tuple[Operand, ...]:
        return tuple(map(self._operand, tensors_in(tuple(values), {}))) if values else ()

    def _operand(self, tensor: Tensor) -> Operand:
        key = (tensor.shape, tensor.stride(), tensor.dtype)
        found = self._operands.get(key)
        if found is None:
            dtype = str(tensor.dtype).removeprefix("torch.")
            found = self._operands[key] = Operand(tuple(tensor.shape), tuple(tensor.stride()), dtype)
        return found

    def _segments(self, arguments: Sequence[Any]) -> tuple[tuple[int, int], ...]:
        """Queries and keys of each segment, of a kernel that is given their bounds: one-dimensional, of integers."""
        bounds = [each for each in tensors_in(tuple(arguments), {}) if each.dim() == 1 and not is_float(each)]
        if not bounds or any(host_of(each).device.type == "meta" for each in bounds):
            return ()
        queries, *others = ([b - a for a, b in pairwise(host_of(each).numpy().tolist())] for each in bounds[:2])
        pairs = tuple(zip(queries, others[0] if others else queries, strict=False))
        return self._lengths.setdefault(pairs, pairs)
