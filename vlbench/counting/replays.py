"""Graphs of calls that are replayed on the inputs of other batches, as CUDA graphs would be. In shadow mode alone.

A replay knows the operations, the addresses and the host's numbers of the batch that was captured; another batch's
inputs are put into the memory of that one's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from vlbench.counting_device.capture import Region
from vlbench.counting_device.evaluate import written
from vlbench.counting_device.facts import facts
from vlbench.counting_device.tape import Tape
from vlbench.counting_device.tensor import DeviceTensor


class GraphTape(Tape):  # type: ignore[no-untyped-call]
    """What a call, or a region of it, asks of the device, with the tensors that it is given and those read behind it.

    Each with the value that it had. It listens to stages.
    """

    def __init__(self, given: Iterable[Tensor], region: Region | None) -> None:
        """`given` are all tensors among the arguments of the call."""
        super().__init__()
        self.inputs: dict[int, _Kept] = {}
        self.outputs: dict[int, _Kept] = {}
        self._region, self.capturing = region, region is None
        on_device = [each for each in given if isinstance(each, DeviceTensor)]
        self._early = {each.block for each in on_device}
        self._changed: set[Any] = set()
        self._own: set[int] = set()
        if region is None:
            for each in on_device:
                _keep(self.inputs, each)

    def before(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], operands: list[DeviceTensor]) -> None:
        """See `Tape`."""
        if self.capturing:
            for each in operands if self._region else ():
                if each.block in self._early and id(each) not in self._own:
                    _keep(self.inputs, each)
            self._changed |= {each.block for each in written(facts(func), args, kwargs)}
        elif self._region and self._region.over:
            self.read(operands)

    def after(self, made: list[DeviceTensor]) -> None:
        """See `Tape`."""
        if self.capturing:
            self._changed |= {each.block for each in made if each.block not in self._early}
            self._own |= {id(each) for each in made}
        elif self._region and not self._region.over:
            self._early |= {each.block for each in made}

    def read(self, tensors: Iterable[Tensor]) -> None:
        """What is read behind it; it counts where it was made or written here."""
        for each in tensors:
            if isinstance(each, DeviceTensor) and each.block in self._changed:
                _keep(self.outputs, each)

    def enter(self, name: str) -> None:
        """A stage begins."""
        if self._region:
            self._region.enter(name)
            self.capturing = self._region.inside

    def exit(self, name: str) -> None:
        """It ends."""
        if self._region:
            self._region.exit(name)
            self.capturing = self._region.inside


class _Kept(NamedTuple):
    tensor: DeviceTensor
    value: Tensor


def _keep(kept: dict[int, _Kept], tensor: DeviceTensor) -> None:
    if id(tensor) not in kept:
        kept[id(tensor)] = _Kept(tensor, tensor.host.clone())


@dataclass(frozen=True)
class BatchGraph:
    """The graph that was captured of a batch."""

    tape: GraphTape
    baked: bool
    """Does it hold what follows from the grids, as they are on the host or read back?"""
    blocked: str = ""
    """The first thing on which a capture of this call ends, in words; "" where nothing does."""

    def replayed_with(self, other: BatchGraph) -> float | None:
        """How far the replay of this graph is from the results of the other batch; None where that has no place."""
        mine, theirs = list(self.tape.inputs.values()), list(other.tape.inputs.values())
        if len(mine) != len(theirs):
            return None
        used = {each.block for call in self.tape.calls if call.has_work for each in call.operands}
        pairs = [pair for pair in zip(mine, theirs, strict=True) if pair[0].tensor.block in used]
        if any(own.value.shape != new.value.shape for own, new in pairs):
            return None
        for own, new in pairs:
            own.tensor.host.copy_(new.value)
        self.tape.replay()
        found = [each.tensor.host.clone() for each in self.tape.outputs.values()]
        for own, _ in pairs:  # it may be kept elsewhere, as in a cache
            own.tensor.host.copy_(own.value)
        wanted = [each.value for each in other.tape.outputs.values()]
        if [(each.shape, each.dtype) for each in found] != [(each.shape, each.dtype) for each in wanted]:
            return float("inf")
        return max(map(distance, found, wanted), default=0.0)


def distance(found: Tensor, wanted: Tensor) -> float:
    """Relative L2; infinite where it is no number."""
    difference = (found.double() - wanted.double()).norm() / wanted.double().norm().clamp(min=1e-30)
    return float("inf") if difference.isnan() else float(difference)
