"""Operations with their tensors, in order, so that they can be carried out again in the same memory: a graph's replay.

A replay knows what a CUDA graph knows: operations, addresses and numbers as they were when it was captured. What the
host computed, chose or read back meanwhile is part of the record; memory that was pinned is read again.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlbench.counting_device.evaluate import mapped, tensors_in
from vlbench.counting_device.facts import facts
from vlbench.counting_device.mode import EagerMode
from vlbench.counting_device.scope import current
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import cause_line
from vlbench.record.capturable import Difference
from vlbench.record.site import Where


@dataclass(frozen=True)
class Call:
    """An operation on the device as it was called, whole."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: tuple[DeviceTensor | None, ...]
    """The tensors that it returned: None for one that lies in the memory of an operand."""
    told: str
    """It with the forms of its tensors, its numbers, and hashes of what is on the host."""
    where: Where

    @property
    def operands(self) -> list[DeviceTensor]:
        """The device tensors that it was called with."""
        return [each for each in tensors_in(self.args, self.kwargs) if isinstance(each, DeviceTensor)]

    @property
    def has_work(self) -> bool:
        """Does it make or write something, rather than look at memory that is there, or read it back?"""
        known = facts(self.func)
        return not known.view_in_place if known.writes else any(each is not None for each in self.made)

    def again(self) -> None:
        """Carry it out on whatever its tensors hold by now, into the same memory."""
        new = tensors_in((self.func(*self.args, **self.kwargs),), {})
        for kept, other in zip(self.made, new, strict=True):
            if kept is not None:
                kept.copy_(other)


class Tape(EagerMode):
    """Within this context all that is asked of the device in this thread is kept. Recording can pause."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.capturing = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operands = [each for each in tensors_in(args, kwargs) if isinstance(each, DeviceTensor)]
        self.before(func, args, kwargs, operands)
        is_kept = self.capturing
        told = _told(func, args, kwargs) if is_kept else ""
        result = func(*args, **kwargs)
        made = [each if isinstance(each, DeviceTensor) else None for each in tensors_in((result,), {})]
        self.after([each for each in made if each is not None])
        same = {id(each) for each in operands}
        is_none = (
            all(each is None or id(each) in same for each in made) and not facts(func).writes
        )  # as `x.to(x.device)`
        if is_kept and operands + made and not (made and is_none):
            blocks = [each.block for each in operands]
            fresh = (None if each is None or each.block in blocks else each for each in made)
            self.calls.append(Call(func, args, kwargs, tuple(fresh), told, cause_line()))
        return result

    def before(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], operands: list[DeviceTensor]) -> None:
        """Told of each call before it is carried out, kept or not."""

    def after(self, made: list[DeviceTensor]) -> None:
        """And of what it returned."""

    def replay(self) -> None:
        """All of it again; none of it is counted, nor can it end a capture."""
        scope = current()
        before, scope.counter, scope.capture = (scope.counter, scope.capture), None, None
        try:
            with torch.inference_mode():
                for call in self.calls:
                    if call.has_work:
                        call.again()
        finally:
            scope.counter, scope.capture = before


def _told(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """A call in words: the forms of its tensors, its numbers, and hashes of what is on the host."""

    def form(tensor: Tensor) -> Any:
        if isinstance(tensor, DeviceTensor):
            return _Form(f"{tensor.dtype}{list(tensor.shape)}/{list(tensor.stride())}".removeprefix("torch."))
        known = tensor.numel() and tensor.device.type == "cpu"
        data = (
            tensor.detach().contiguous().unsqueeze(-1).flatten().view(torch.uint8).numpy().tobytes() if known else b""
        )
        return _Form(f"host {tensor.dtype}{list(tensor.shape)}#{zlib.crc32(data):08x}".replace("torch.", ""))

    named = {key: value for key, value in kwargs.items() if value is not None and key != "device"}
    told = [*mapped(args, form), *(f"{key}={value}" for key, value in mapped(named, form).items())]
    return f"{facts(func).name}({', '.join(map(str, told))})"


class _Form(str):
    """Shown without quotes, also in a list."""

    __slots__ = ()
    __repr__ = str.__str__


def first_difference(mine: Tape, other: Tape) -> Difference | None:
    """Where two records part; None where they are the same."""
    for one, two in zip(mine.calls, other.calls, strict=False):
        if one.told != two.told:
            return Difference(where=one.where, mine=one.told, other=two.told)
    if len(mine.calls) == len(other.calls):
        return None
    longer = max(mine, other, key=lambda tape: len(tape.calls)).calls[min(len(mine.calls), len(other.calls))]
    ends = "(it ends here)"
    told = (longer.told, ends) if len(mine.calls) > len(other.calls) else (ends, longer.told)
    return Difference(where=longer.where, mine=told[0], other=told[1])
