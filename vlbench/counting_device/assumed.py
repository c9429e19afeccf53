"""Values that ghost mode does not have, where code waits for one: what finite floats in range would give.

`if torch.isfinite(x).all()` waits for the device whatever x holds, so the wait is counted with its line, and a value is
needed only to go on. It comes from samples: in some every float is the same number, in the last they rise along each
row. A question of NaN, infinity or overflow has the answer of ordinary input. Any other has none, for samples know
nothing of scales, nor how tensors belong together. Either way what was taken is listed with the counts.
"""

from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from vlbench.counting_device.evaluate import CPU, is_float, is_ghost, mapped, no_value, shapes_of_floats, tensors_in
from vlbench.counting_device.facts import facts
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor

FLOATS = (0.5, -0.75, 1.5, -2.0)
"""What every float is taken as in all samples but the last: either sign, within and beyond 1, far from overflow."""
SAMPLES = len(FLOATS) + 1
LARGEST = 2**22
"""Elements of a mask or of integers whose samples are followed."""
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
    return is_ghost(scope, value) and value.numel() <= LARGEST and (value.numel() == 1 or not is_float(value))


def taken(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives that needs values: a number for `.item()`, real integers and shapes for `nonzero`.

    What was taken is listed. Raises GhostValueError where samples do not tell it.
    """
    name = facts(func).name
    try:
        found = _over_samples(scope, func, args, kwargs)
    except Exception:
        raise no_value(name, *args) from None
    first = found[0]
    if isinstance(first, (Tensor, tuple, list)):
        sizes = [[tuple(each.shape) for each in tensors_in((sample,), {})] for sample in found]
        scope.assume(
            f"{name} gives {sizes[0][0]}", certain=sizes.count(sizes[0]) == SAMPLES and _is_certain(scope, func, args)
        )
        return shapes_of_floats(scope, first)
    certain = all(value == first for value in found) and _is_certain(scope, func, args)
    value = scope.branch if isinstance(first, bool) and not certain else first
    scope.assume(str(value), certain=certain, branch=isinstance(value, bool) and not certain)
    return value


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
    copies = bool(facts(func).writes)

    def of(number: int) -> Any:
        def one(tensor: Tensor) -> Tensor:
            value = _sample(scope, tensor, number)
            return value.clone() if copies else value

        return func(*mapped(args, one), **mapped(kwargs, one))

    return [of(number) for number in range(SAMPLES)]


def _sample(scope: Scope, tensor: Tensor, number: int) -> Tensor:
    if not is_ghost(scope, tensor):
        return tensor.host if isinstance(tensor, DeviceTensor) else tensor
    assert isinstance(tensor, DeviceTensor)
    if tensor.samples is not None:
        return tensor.samples[number]
    if tensor.block.writer or not is_float(tensor):
        raise _UnknownError
    if number == len(FLOATS):
        return torch.linspace(-1, 1, tensor.shape[-1] if tensor.dim() else 1, dtype=tensor.dtype).expand(tensor.shape)
    return torch.full((), FLOATS[number], dtype=tensor.dtype).expand(tensor.shape)


def _small(sample: Tensor) -> Tensor:
    """The same values in one element where they are all equal."""
    if sample.numel() > 1 and bool((sample == sample.flatten()[0]).all()):
        return sample.flatten()[0].clone().expand(sample.shape)
    return sample


def mask_positions(scope: Scope, mask: Tensor) -> list[Tensor]:
    """Where a ghost mask is taken to be true, one tensor of indices for each of its dimensions."""
    if not isinstance(mask, DeviceTensor) or mask.samples is None:
        raise no_value("indexing by a mask", mask)
    same = mask.certain and all(torch.equal(each, mask.samples[0]) for each in mask.samples)
    found = mask.samples[0].nonzero().unbind(1)
    scope.assume(f"a mask picks {found[0].numel():,} of {mask.numel():,}", certain=same)
    return list(found)
