"""Kernels that only a GPU can run: one operation each, with the shape rule that their user declares in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlbench.counting_device.evaluate import evaluate, host_of, is_ghost, mapped, shapes_of_floats, to_meta
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


_declared: dict[str, Declaration] = {}


def declare(
    name: str, shape_rule: ShapeRule | None = None, *, attention: str | None = None, read_backs: int = 0
) -> None:
    """Say what the kernel `name` ("flash_attn::varlen_fwd", or "triton::my_kernel") returns and costs.

    It counts as one device operation. `shape_rule` takes the operator's arguments, tensors as meta tensors, and
    returns what the operator returns; without one the operator's own fake kernel is used. `attention` names the
    backend of an attention kernel; `read_backs` says how often it makes the host wait.
    """
    _declared[name] = Declaration(shape_rule, attention, read_backs)


for _name, _backend in ATTENTION.items():
    if not _name.startswith("aten::"):
        declare(_name, attention=_backend)


@handles(OPAQUE)
def opaque(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of somebody's operator: evaluated by its own CPU or fake kernel, or by the declared shape rule.

    Raises UsageError where there is neither. Without a declaration the operator is listed as unknown.
    """
    name = func.name()
    operands = tensors_in(args, kwargs)
    declaration = _declared.get(name)
    ghosts = any(is_ghost(scope, operand) for operand in operands)
    if declaration and declaration.shape_rule and ghosts:
        shapes = [mapped(part, lambda tensor: to_meta(host_of(tensor))) for part in (args, kwargs)]
        result = shapes_of_floats(scope, declaration.shape_rule(*shapes[0], **shapes[1]))
    else:
        result = evaluate(scope, func, args, kwargs)
    count_opaque(scope, name)
    return wrap(scope, result, operands)


def count_opaque(scope: Scope, name: str) -> None:
    """One operation, what its declaration adds, and its name in the report where there is no declaration."""
    declaration = _declared.get(name)
    scope.operation(name, attention=bool(declaration and declaration.attention))
    if declaration is None:
        scope.unknown(name)
        return
    if declaration.attention and scope.counter is not None:
        scope.counter.attention_backends.add(declaration.attention)
    for _ in range(declaration.read_backs):
        scope.transfer("read-back", name)
