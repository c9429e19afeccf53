"""Values that ghost mode does not have, where code waits for one: what finite floats in range would give.

`if torch.isfinite(x).all()` waits for the device whatever x holds, so the wait is counted with its line, and a value is
needed only to go on. It comes from samples: in some every float is the same number, in the last they rise along each
row. A question of NaN, infinity or overflow has the answer of ordinary input. Any other has none, for samples know
nothing of scales, nor how tensors belong together. Either way what was taken is listed with the counts.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from vlbench.counting_device.evaluate import (
    CPU,
    SMALL,
    GhostValueError,
    is_float,
    is_ghost,
    mapped,
    no_value,
    shapes_of_floats,
    tensors_in,
)
from vlbench.counting_device.facts import facts
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import cause_line

FLOATS = (0.5, -0.75, 1.5, -2.0)
"""What every float is taken as in all samples but the last: either sign, within and beyond 1, far from overflow."""
SAMPLES = len(FLOATS) + 1
LARGEST = 2**28
"""Elements of a mask or of integers whose samples are followed."""
MOST_ASKED = 1000
"""Times that one line may ask which way to go in a forward."""
MOST_COPIED = 2**28
"""Elements of a copy to the host that is filled in."""


OVERFLOW = 3e4
"""Beyond this a comparison asks for overflow: the largest float16 is 65,504."""
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
OF_FINITENESS = ("isnan", "isinf", "isfinite", "isposinf", "isneginf")


class _UnknownError(Exception):
    """A value among the operands follows from something that samples do not tell."""


def follow(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], made: Any) -> None:
    """Give masks, integers and single numbers that follow from floats the values that samples give them."""
    results = made if isinstance(made, (list, tuple)) else (made,)
    wanted = [place for place, each in enumerate(results) if _may_be_asked_for(scope, each)]
    if not wanted:
        return
    try:
        found = _over_samples(scope, func, args, kwargs)
    except Exception:  # whatever an operation cannot do with samples: nobody knows what it gives, and nobody may ask
        found = []
    certain = _is_certain(scope, func, args)
    for place in wanted:
        results[place].certain = certain
        of_each = [sample[place] if isinstance(made, (list, tuple)) else sample for sample in found]
        results[place].samples = tuple(map(_small, of_each)) or None


def _is_certain(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...]) -> bool:
    """Do all finite floats in range answer alike: a question of NaN, infinity or overflow, or what follows from one?"""
    name = facts(func).name.removeprefix("aten::").partition(".")[0].rstrip("_")
    if name in OF_FINITENESS:
        return True
    if name in COMPARISONS and (args[0] is args[1] or (isinstance(args[1], int | float) and abs(args[1]) >= OVERFLOW)):
        return True
    ghosts = (each for each in tensors_in(args, {}) if isinstance(each, DeviceTensor) and is_ghost(scope, each))
    return all(each.certain for each in ghosts)


def _may_be_asked_for(scope: Scope, value: Any) -> bool:
    largest = SMALL if scope.counter is None else LARGEST  # who fills weights looks at masks as large as they are
    return is_ghost(scope, value) and value.numel() <= largest and (value.numel() == 1 or not is_float(value))


def taken(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives that needs values: a number for `.item()`, real integers and shapes for `nonzero`.

    What was taken is listed. Raises GhostValueError where samples do not tell it.
    """
    name = facts(func).name
    try:
        found = _over_samples(scope, func, args, kwargs)
    except Exception:
        if not _is_either(args):
            raise no_value(name, *args) from None
        found = [True, False]
    first = found[0]
    if isinstance(first, (Tensor, tuple, list)):
        sizes = [[tuple(each.shape) for each in tensors_in((sample,), {})] for sample in found]
        scope.assume(
            f"{name} gives {sizes[0][0]}", certain=sizes.count(sizes[0]) == SAMPLES and _is_certain(scope, func, args)
        )
        return shapes_of_floats(scope, first)
    certain = all(value == first for value in found) and _is_certain(scope, func, args)
    value = _way(scope, name) if isinstance(first, bool) and not certain else first
    scope.assume(str(value), certain=certain, branch=isinstance(value, bool) and not certain)
    return value


def _is_either(args: tuple[Any, ...]) -> bool:
    """Is it one truth value, of which no kernel may have said what it is?"""
    asked = args[0]
    return isinstance(asked, DeviceTensor) and asked.dtype == torch.bool and not asked.block.writer


def _way(scope: Scope, operation: str) -> bool:
    """Which way code goes. While it only builds it goes one way and then the other, so that every loop ends.

    Raises GhostValueError where floats decide how often a loop runs.
    """
    if scope.counter is None:
        scope.undecided += 1
        return scope.undecided % 2 == 0
    if scope.counter.asked(place := cause_line()) > MOST_ASKED:
        raise GhostValueError(
            f"{operation} at {place} was asked for more than {MOST_ASKED:,} times: floats decide how often this loop "
            "runs, so it cannot be counted without their values; bound the loop by a number of the host"
        )
    return scope.branch


def taken_copy(scope: Scope, operation: str, source: Tensor) -> Tensor:
    """The values of a ghost that are copied to the host: those of the first sample.

    Raises GhostValueError where samples do not tell them.
    """
    if not isinstance(source, DeviceTensor) or source.numel() > MOST_COPIED:
        raise no_value(operation, source)
    try:
        values = _sample(scope, source, 0)
    except _UnknownError:
        raise no_value(operation, source) from None
    scope.assume(f"{FLOATS[0]} in {operation}" if source.samples is None else operation, certain=source.certain)
    if 0 in source.stride():
        return values.clone()
    return torch.empty_strided(source.shape, source.stride(), dtype=source.dtype).copy_(values)


def _over_samples(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """What `func` gives for each sample of its operands."""
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": CPU}
    name, copies = facts(func).name, bool(facts(func).writes)

    def of(number: int) -> Any:
        def one(tensor: Tensor) -> Tensor:
            value = _sample(scope, tensor, number)
            return value.clone() if copies else value

        given, named = mapped(args, one), mapped(kwargs, one)
        if name in ("aten::all", "aten::any", "aten::max", "aten::min"):
            return func(*mapped(given, _each_once), **named)
        if copies or torch.Tag.pointwise not in func.tags:
            return func(*given, **named)
        return _elementwise(func, given, named)

    return [of(number) for number in range(SAMPLES)]


def _elementwise(func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same where values repeat along dimensions, at the cost of one of each: samples are as large as pictures."""
    operands = tensors_in(args, kwargs)
    shape = torch.broadcast_shapes(*(each.shape for each in operands))  # type: ignore[no-untyped-call]
    differing = [any(each.expand(shape).stride(dim) for each in operands) for dim in range(len(shape))]

    def one(tensor: Tensor) -> Tensor:
        return _each_once(tensor.expand(shape), differing)

    made = func(*mapped(args, one), **mapped(kwargs, one))
    return made.expand(shape) if isinstance(made, Tensor) else made


def _each_once(tensor: Tensor, differing: Sequence[bool] | None = None) -> Tensor:
    """One of each along dimensions in which values repeat, other than those that are `differing`."""
    for dim, size in enumerate(tensor.shape):
        if not (differing[dim] if differing else tensor.stride(dim)) and size > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def _sample(scope: Scope, tensor: Tensor, number: int) -> Tensor:
    if not is_ghost(scope, tensor):
        return tensor.host if isinstance(tensor, DeviceTensor) else tensor
    assert isinstance(tensor, DeviceTensor)
    if tensor.samples is not None:
        return tensor.samples[number]
    if tensor.block.writer or not is_float(tensor):
        raise _UnknownError
    if number == len(FLOATS) and tensor.dim():
        return torch.linspace(-1, 1, tensor.shape[-1], dtype=tensor.dtype).expand(tensor.shape)
    return torch.full((), (*FLOATS, -1.0)[number], dtype=tensor.dtype).expand(tensor.shape)


def _small(sample: Tensor) -> Tensor:
    """The same values in one element where they are all equal."""
    distinct = _each_once(sample)
    if sample.numel() > 1 and bool((distinct == distinct.flatten()[0]).all()):
        return distinct.flatten()[0].clone().expand(sample.shape)
    return sample


def mask_positions(scope: Scope, mask: Tensor) -> list[Tensor]:
    """Where a ghost mask is taken to be true, one tensor of indices for each of its dimensions."""
    if not isinstance(mask, DeviceTensor) or mask.samples is None:
        raise no_value("indexing by a mask", mask)
    same = mask.certain and all(torch.equal(each, mask.samples[0]) for each in mask.samples)
    found = mask.samples[0].nonzero().unbind(1)
    scope.assume(f"a mask picks {found[0].numel():,} of {mask.numel():,}", certain=same)
    return list(found)
