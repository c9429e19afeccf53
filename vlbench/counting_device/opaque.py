"""Somebody's kernels behind `torch.ops`: one operation each, with the shapes that a rule gives."""

from __future__ import annotations

from typing import Any

from vlbench.counting_device.declarations import declaration
from vlbench.counting_device.evaluate import evaluate, is_ghost, shapes_by_rule
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import OPAQUE, Operation, handles, tensors_in, wrap
from vlbench.counting_device.scope import Scope


@handles(OPAQUE)
def opaque(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of somebody's operator: computed by its CPU kernel, or shaped by the declared rule or its fake kernel.

    Raises UsageError where there is none of them. Without a declaration and without a fake it is listed as unknown.
    """
    known = facts(func)
    operands = tensors_in(args, kwargs)
    declared = declaration(known.name)
    if scope.ghost and (not known.has_cpu_kernel or any(is_ghost(scope, operand) for operand in operands)):
        result = shapes_by_rule(scope, func, declared.shape_rule if declared else None, args, kwargs)
    else:
        result = evaluate(scope, func, args, kwargs)
    count_opaque(scope, known.name, operands, described=known.has_fake)
    if declared and declared.attention and scope.counter is not None:
        scope.counter.dtypes.add(str(operands[0].dtype).removeprefix("torch."))
    return wrap(scope, result, operands)


def count_opaque(scope: Scope, name: str, arguments: list[Any], *, described: bool) -> None:
    """One operation and what its declaration adds; unless declared or `described`, the report names it as unknown."""
    declared = declaration(name)
    scope.operation(name, arguments, attention=bool(declared and declared.attention))
    if declared is None:
        if not described:
            scope.unknown(name)
        return
    if declared.attention and scope.counter is not None:
        scope.counter.attention_backends.add(declared.attention)
    for _ in range(declared.read_backs):
        scope.transfer("read-back", name)
