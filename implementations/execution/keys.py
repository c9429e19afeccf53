"""What a graph depends on. Of tensors that is their form, as their values are copied in; of all else the value."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor

from ..optimized.plan import VisionPlan
from ..optimized.segments import Segments

DERIVED = ("runs",)
"""Of segments: what follows from their bounds."""


def core(plan: VisionPlan) -> VisionPlan:
    """What blocks and mergers read of a plan, without what is read before and after them."""
    return replace(plan.on_host(), window_index=None, inverse=None, positions=None)


def key_of(value: Any) -> Hashable:
    """What tells a graph on `value` from others: boundaries of segments, dtypes, shapes, kinds, numbers.

    Nothing is left out by name, so what a plan holds some day is part of the key. Raises TypeError where the value of
    a part can be no key.
    """
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape), value.dtype, value.device
    if parts := _parts(value):
        return type(value).__name__, *((name, key_of(part)) for name, part in parts.items())
    if isinstance(value, list | tuple):
        return tuple(part if type(part) is int else key_of(part) for part in value)
    hash(value)
    known: Hashable = value
    return known


def tensors_of(value: Any) -> Iterator[Tensor]:
    """All tensors in `value`, in the order of `swapped`."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_of(part)
    else:
        for part in _parts(value).values():
            yield from tensors_of(part)


def swapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple) and any(True for _ in tensors_of(value)):
        return type(value)(swapped(part, change) for part in value)
    if parts := {name: swapped(part, change) for name, part in _parts(value).items()}:
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **parts)
        other = copy(value)
        vars(other).clear()
        vars(other).update(parts)
        return other
    return value


def _parts(value: Any) -> dict[str, Any]:
    """What a plan, or a part of one, is made of, by name; for which calls it was made is no part."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    if isinstance(value, Segments):
        return {name: part for name, part in vars(value).items() if name not in DERIVED}
    return {}
