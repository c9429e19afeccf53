"""Shapes of results without values: torch's meta kernels are asked once for operands of a kind.

Many of those are written in Python and take longer than all else that is done to count an operation, and a tower asks
the same of them in each of its layers.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from vlbench.counting_device.facts import facts

_Form = tuple[torch.Size, tuple[int, ...], torch.dtype]


class Shapes:
    """What an open counting device has learnt of them."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[_Form, ...]] = {}

    def of(self, func: OpOverload[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What `func` returns for these meta tensors. Raises as its meta kernel does."""
        if not facts(func).makes:
            return func(*args, **kwargs)
        key = (func, torch.get_default_dtype(), _kind(args), _kind(tuple(kwargs.items())))
        if forms := self._known.get(key):
            made = tuple(map(_made, forms))
            return made if len(made) > 1 else made[0]
        result = func(*args, **kwargs)
        if (forms := _forms(result, (*args, *kwargs.values()))) is not None:
            self._known[key] = forms
        return result


def _kind(value: Any) -> Hashable:
    """What a meta kernel can tell of an argument; what holds more than strides say is equal to nothing."""
    if isinstance(value, Tensor):
        is_plain = value.layout is torch.strided and not value.is_conj() and not value.is_neg()
        return (value.shape, value.stride(), value.dtype) if is_plain else object()
    if isinstance(value, list | tuple):
        return tuple(map(_kind, value))
    return type(value), value


def _forms(result: Any, arguments: Iterable[Any]) -> tuple[_Form, ...] | None:
    """Of tensors that have memory of their own and no more than they need; None where a result is anything else."""
    results = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(each, Tensor) and each.layout is torch.strided for each in results):
        return None
    forms = tuple((each.shape, each.stride(), each.dtype) for each in results)
    memories = {each.untyped_storage()._cdata for each in results}
    given = [part for each in arguments for part in (each if isinstance(each, list | tuple) else (each,))]
    taken = {each.untyped_storage()._cdata for each in given if isinstance(each, Tensor)}
    alike = all(_bytes(each) == _bytes(_made(form)) for each, form in zip(results, forms, strict=True))
    return forms if alike and len(memories) == len(results) and not memories & taken else None


def _made(form: _Form) -> Tensor:
    shape, strides, dtype = form
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
