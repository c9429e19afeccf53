"""Kernels that only a GPU can run: one operation each, with the shape rule that their user declares in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlbench.counting_device.evaluate import (
    evaluate,
    forget_written,
    host_of,
    is_ghost,
    mapped,
    shapes_of_floats,
    to_meta,
)
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import OPAQUE, Operation, handles, tensors_in, wrap
from vlbench.counting_device.operations import ATTENTION
from vlbench.counting_device.scope import Scope

ShapeRule = Callable[..., Any]


@dataclass(frozen=True)
class Declaration:
    """What a user says of an opaque kernel."""

    shape_rule: ShapeRule | None
    attention: str | None
    read_backs: int
    writes: tuple[str, ...]


_declared: dict[str, Declaration] = {}


def declare(
    name: str,
    shape_rule: ShapeRule | None = None,
    *,
    attention: str | None = None,
    read_backs: int = 0,
    writes: tuple[str, ...] = (),
) -> None:
    """Say what the kernel `name` returns and costs: "flash_attn::varlen_fwd" (all overloads) or "triton::my_kernel".

    It counts as one device operation. `shape_rule` takes the operator's arguments, tensors as meta tensors, and
    returns what the operator returns; without one the operator's own fake kernel is used. `attention` names the
    backend of an attention kernel; `read_backs` says how often it makes the host wait. A Triton kernel has no schema
    and returns nothing: `writes` names the arguments it writes into.
    """
    _declared[name] = Declaration(shape_rule, attention, read_backs, writes)


def declaration(name: str) -> Declaration | None:
    """What was said of `name`, or of its operator without the overload."""
    return _declared.get(name) or _declared.get(name.partition(".")[0])


for _name, _backend in ATTENTION.items():
    if not _name.startswith("aten::"):
        declare(_name, attention=_backend)


@handles(OPAQUE)
def opaque(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of somebody's operator: evaluated by its own CPU or fake kernel, or by the declared shape rule.

    Raises UsageError where there is neither. Without a declaration the operator is listed as unknown.
    """
    known = facts(func)
    operands = tensors_in(args, kwargs)
    declared = declaration(known.name)
    ghosts = any(is_ghost(scope, operand) for operand in operands)
    if declared and declared.shape_rule and scope.ghost and (ghosts or not known.has_cpu_kernel):
        forget_written(known, args, kwargs)
        shapes = [mapped(part, lambda tensor: to_meta(host_of(tensor))) for part in (args, kwargs)]
        result = shapes_of_floats(scope, declared.shape_rule(*shapes[0], **shapes[1]))
    else:
        result = evaluate(scope, func, args, kwargs)
    count_opaque(scope, known.name, args)
    if declared and declared.attention and scope.counter is not None:
        scope.counter.dtypes.add(str(operands[0].dtype).removeprefix("torch."))
    return wrap(scope, result, operands)


def count_opaque(scope: Scope, name: str, args: tuple[Any, ...]) -> None:
    """One operation, what its declaration adds, and its name in the report where there is no declaration."""
    declared = declaration(name)
    scope.operation(name, args, attention=bool(declared and declared.attention))
    if declared is None:
        scope.unknown(name)
        return
    if declared.attention and scope.counter is not None:
        scope.counter.attention_backends.add(declared.attention)
    for _ in range(declared.read_backs):
        scope.transfer("read-back", name)
