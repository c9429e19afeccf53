"""How far an output is from what it should be."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vlbench.implementations.output import OutputError, Parts, called
from vlbench.record.exactness import share

PutBack = Callable[[Parts, Parts], Parts]
"""(an output that lacks tokens, the whole one) to the first with what it lacks. Raises OutputError."""


def errors(output: Parts, wanted: Parts) -> dict[str, float]:
    """The relative error of each part by itself. Raises OutputError for other parts, or another shape."""
    for one, other, problem in ((wanted, output, "lacks the part {!r}"), (output, wanted, "has a part {!r} too many")):
        if strange := [part for part in one if part not in other]:
            raise OutputError(problem.format(strange[0]))
    for part, tensor in wanted.items():
        if (shape := output[part].shape) != tensor.shape:
            raise OutputError(f"has shape {list(shape)} instead of {list(tensor.shape)}", called(part, wanted))
    return {part: relative_error(output[part], tensor) for part, tensor in wanted.items()}


def check_dtypes(output: Parts, wanted: Parts) -> None:
    """Raises OutputError for a part of another dtype: what comes after a tower would compute otherwise."""
    for part, tensor in wanted.items():
        if part in output and (dtype := output[part].dtype) != tensor.dtype:
            raise OutputError(f"is of {dtype_name(dtype)} instead of {dtype_name(tensor.dtype)}", called(part, wanted))


def beyond(
    allowed: Mapping[str, float], output: Parts, wanted: Parts, put_back: PutBack | None = None
) -> tuple[str, float] | None:
    """What of a timed output is further off than it may be, in words, and how far; None where nothing is."""
    try:
        output = put_back(output, wanted) if put_back else output
        check_dtypes(output, wanted)
        found = errors(output, wanted)
    except OutputError as error:
        return error.subject, math.inf
    wrong = {part: error for part, error in found.items() if not error <= allowed[part]}
    if not wrong:
        return None
    part = max(wrong, key=lambda name: share(wrong[name], allowed[name]))
    return called(part, wanted), wrong[part]


def relative_error(output: Tensor, wanted: Tensor) -> float:
    """|output - wanted| / |wanted|, in fp64, of two of one shape. Whole numbers are right or infinitely wrong."""
    common = torch.promote_types(output.dtype, wanted.dtype)
    if torch.equal(output.to(common), wanted.to(common)):
        return 0.0
    if not wanted.is_floating_point():
        return math.inf
    wanted64 = wanted.double()
    return float((output.double() - wanted64).norm() / wanted64.norm())


def dtype_name(dtype: torch.dtype) -> str:
    """`float32` of `torch.float32`."""
    return str(dtype).removeprefix("torch.")
