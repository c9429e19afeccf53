"""Carries out an operation on the host tensors behind device tensors: for real (shadow) or by shape (ghost).

In ghost mode integers and booleans are real, because the control flow of a vision tower depends on nothing else, and
floats are meta tensors. An operation on known values only is computed; one with a ghost among its operands is given
to torch's meta kernels. Integers that come out of such an operation are ghosts too, and so are integers it writes to.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from vlbench.counting_device.facts import Facts, facts
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import cause_line
from vlbench.errors import UsageError, in_one_line

SMALL = 2**12
"""Elements of a float tensor that is made for real while a module is built."""
META, CPU = torch.device("meta"), torch.device("cpu")
PLAIN: dict[str, Callable[..., Any]] = {}
"""What computes an operation on a CPU where torch has no kernel for one, by name."""


class GhostValueError(UsageError):
    """Code under test wants a value that ghost mode does not have."""


def no_value(operation: str, *operands: Any) -> GhostValueError:
    """The error for an `operation` on the values of `operands`, with the kernel that may have written them."""
    place = f"{operation} at {cause_line()}"
    for writer in (each.block.writer for each in operands if isinstance(each, DeviceTensor) and each.block.writer):
        return GhostValueError(
            f"{place} needs a value that {writer} may have written; say what that writes: "
            f'declare("{writer}", writes=(...)).'
        )
    return GhostValueError(
        f"{place} needs a value that follows from floats that are not there while counting (written into integers, or "
        "too many to follow); keep that value on the host, or let it be a comparison, of which either answer is counted"
    )


def is_ghost(scope: Scope, value: Any) -> bool:
    """Whether `value` is a device tensor without values."""
    return scope.ghost and isinstance(value, DeviceTensor) and value.host.device.type == "meta"


def any_ghost(scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a tensor among the arguments has no values."""
    return any(is_ghost(scope, tensor) for tensor in tensors_in(args, kwargs))


def evaluate(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of `func`, as host tensors. Operands written in place come back as the tensors behind them."""
    kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    if not scope.ghost:
        return _computed(func, args, kwargs)
    if any_ghost(scope, args, kwargs):
        return _as_ghosts(scope, func, args, kwargs)
    if facts(func).factory:
        shapes = _as_ghosts(scope, func, args, kwargs)
        if not all(_is_kept(scope, tensor) for tensor in tensors_in((shapes,), {})):
            return shapes  # floats are not made for real: they may be as large as a model
    return shapes_of_floats(scope, _computed(func, args, kwargs))


def require_dense(known: Facts, result: Any) -> None:
    """Raises UsageError for a result that has no plain memory."""
    if any(each.layout is not torch.strided for each in tensors_in((result,), {})):
        raise UsageError(
            f"{known.name} at {cause_line()} makes a tensor that is not dense, and only dense ones are counted; keep "
            "it dense, or put what needs it behind an operator of your own (torch.library) and declare that"
        )


def shapes_of_floats(scope: Scope, result: Any) -> Any:
    """Floats as meta tensors, the rest as it is. A float view of known bytes keeps sharing their memory."""

    def one(tensor: Tensor) -> Tensor:
        if _is_kept(scope, tensor):
            return tensor
        block = scope.memory.blocks.get(tensor.untyped_storage()._cdata)
        return to_meta(tensor) if block is None or tensor.device.type == "meta" else block.ghost_of(tensor)

    return mapped(result, one)


def host_of(tensor: Tensor) -> Tensor:
    """The host tensor behind a device tensor; any other as it is."""
    return tensor.host if isinstance(tensor, DeviceTensor) else tensor


def to_meta(tensor: Tensor) -> Tensor:
    """Its shape, strides and dtype alone."""
    if tensor.device.type == "meta":
        return tensor
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)


def forget_written(known: Facts, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """What is written from ghosts is no longer known, nor are its views."""
    for tensor in written(known, args, kwargs):
        tensor.block.known = False


def written(known: Facts, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[DeviceTensor]:
    """The operands that the operation writes to."""
    for key in known.writes:
        target = kwargs.get(key) if isinstance(key, str) else args[key] if key < len(args) else None
        for tensor in target if isinstance(target, (list, tuple)) else (target,):
            if isinstance(tensor, DeviceTensor):
                yield tensor


def _computed(func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = facts(func).name
    try:
        return _on(CPU, PLAIN.get(name, func), args, kwargs, lambda tensor: tensor)
    except NotImplementedError as error:
        raise UsageError(
            f"{name} at {cause_line()} has no CPU kernel, so it cannot be computed; give it one, or "
            "declare a shape rule and count with mode='ghost'."
        ) from error


def _as_ghosts(scope: Scope, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    known = facts(func)
    if known.needs_values and kwargs.get("output_size") is None:
        raise no_value(known.name, *args)
    forget_written(known, args, kwargs)
    try:
        return _on(META, partial(scope.shapes.of, func), args, kwargs, to_meta)
    except NotImplementedError as error:
        raise UsageError(
            f"{known.name} at {cause_line()} has no shape rule in torch {torch.__version__}, so it cannot be counted; "
            "put it behind an operator of your own (torch.library), and declare what that returns"
        ) from error


def shapes_by_rule(
    scope: Scope,
    func: OpOverload[..., Any],
    rule: Callable[..., Any] | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """What somebody's operator returns, by the declared `rule` or by its own fake kernel.

    Raises UsageError where there is neither, and for a rule that fails.
    """
    known = facts(func)
    forget_written(known, args, kwargs)
    try:
        return shapes_of_floats(scope, _on(META, rule or func, args, kwargs, to_meta))
    except NotImplementedError as error:
        raise UsageError(f"{known.name} at {cause_line()} has no shape rule; {declare_it(known.name)}.") from error
    except Exception as error:
        raise UsageError(
            f"{known.name} at {cause_line()}: its {'declared shape rule' if rule else 'fake kernel'} raised "
            f"{in_one_line(error)}; mend it, or {declare_it(known.name)}."
        ) from error


def declare_it(name: str) -> str:
    """The remedy for an operator that cannot be looked into."""
    return f'say what it returns: declare("{name}", lambda ...: torch.empty_like(...))'


def _on(
    device: torch.device,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    convert: Callable[[Tensor], Tensor],
) -> Any:
    def host(tensor: Tensor) -> Tensor:
        return convert(host_of(tensor))

    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": device}
    return func(*mapped(args, host), **mapped(kwargs, host))


def mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """`value` with `function` applied to every tensor in it, through lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [mapped(item, function) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """All tensors among the arguments; torch's schemas nest lists one deep."""
    found = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(tensors_in(tuple(value), {}))
    return found


def is_float(tensor: Tensor) -> bool:
    """Whether it holds real or complex floats."""
    return tensor.is_floating_point() or tensor.is_complex()


def _is_kept(scope: Scope, tensor: Tensor) -> bool:
    """Integers, and while a module is built small floats too: constructors read them (`linspace(...).tolist()`)."""
    return not is_float(tensor) or (scope.building and tensor.numel() <= SMALL)
