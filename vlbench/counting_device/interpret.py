"""One operation on device tensors: what it would ask of the GPU is counted, and it is carried out on the host.

Torch's dispatcher calls `interpret` for every operation in the scope, on device tensors and on host tensors.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from vlbench.counting_device import assumed, evaluate
from vlbench.counting_device.declarations import declaration
from vlbench.counting_device.facts import Facts, facts
from vlbench.counting_device.mode import EagerMode
from vlbench.counting_device.operations import ATTENTION, SYNCS
from vlbench.counting_device.scope import Scope, current
from vlbench.counting_device.tensor import CUDA, DeviceTensor
from vlbench.counting_device.where import cause_line
from vlbench.errors import UsageError, in_one_line
from vlbench.record.sequence import Kind

Operation = OpOverload[..., Any]
Handler = Callable[[Scope, Operation, tuple[Any, ...], dict[str, Any]], Any]

_KEY = torch._C.DispatchKey

HANDLERS: dict[str, Handler] = {}
"""Operations that need more than the common path, by name."""


def handles(*names: str) -> Callable[[Handler], Handler]:
    """The decorated function carries out the operations of these names."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


class _CountingMode(EagerMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a thread, also those that only make or move tensors."""

    def __torch_dispatch__(
        self, func: Operation, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return interpret(current(), func, args, kwargs or {})


def counting() -> AbstractContextManager[object]:
    """Within this block every operation of this thread goes to `interpret`."""
    return _CountingMode()  # type: ignore[no-untyped-call]


def interpret(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry out one operation: by its handler, by its pieces, or on the common path."""
    known = facts(func)
    for written in evaluate.written(known, args, kwargs):
        written.block.version += 1
    handler = HANDLERS.get(known.name)
    if handler is not None:
        with scope.lock:
            return handler(scope, func, args, kwargs)
    if _has_pieces(known, args, kwargs):
        return in_pieces(func, args, kwargs)
    with scope.lock:
        return carry_out(scope, func, args, kwargs)


def _has_pieces(known: Facts, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether it is what its body asks for. What somebody declared is one piece, whatever its body."""
    if known.body is None:
        return False
    if known.body == _KEY.CompositeImplicitAutograd:
        return True  # declared or not: under no_grad torch itself takes it to pieces
    if declaration(known.name):
        return False
    return known.body != _KEY.CUDA or on_device(known, evaluate.tensors_in(args, kwargs), kwargs)


def in_pieces(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Take an operation to the pieces that its body would make of it.

    inference_mode delivers these operations whole, no_grad in pieces: so counts agree. `func.decompose` would prefer
    decompositions written for compilers, which differ (that of dropout copies).
    """
    known = facts(func)
    assert known.body is not None
    try:
        with counting():
            return func._op_dk(known.body, *args, **kwargs)
    except Exception as error:
        if isinstance(error, UsageError) or not known.opaque:
            raise
        raise UsageError(
            f"{known.name} at {cause_line()}: its body raised {in_one_line(error)}; mend it, or "
            f"{evaluate.declare_it(known.name)}."
        ) from error


def carry_out(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The common path: check devices, evaluate on the host, count, wrap."""
    known = facts(func)
    operands = evaluate.tensors_in(args, kwargs)
    if not on_device(known, operands, kwargs):
        if known.name in SYNCS:  # a factory on the host reads the device's tensors: `linspace(0, t)`
            with counting():
                args = evaluate.mapped(args, _read)
        return host_operation(scope, func, args, kwargs)
    require_one_device(scope, known, operands, args, kwargs)
    if known.opaque:
        return opaque(scope, func, args, kwargs)
    return run_on_device(scope, func, args, kwargs)


def run_on_device(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Evaluate, count, wrap: for callers that have settled where the operands are."""
    known = facts(func)
    if scope.ghost and known.needs_values and kwargs.get("output_size") is None and evaluate.any_ghost(scope, args, {}):
        result = assumed.taken(scope, func, args, kwargs)
    else:
        result = evaluate.evaluate(scope, func, args, kwargs)
    evaluate.require_dense(known, result)
    count(scope, known, result, args, kwargs)
    made = wrap(scope, result, evaluate.tensors_in(args, kwargs))
    if scope.ghost:
        assumed.follow(scope, func, args, kwargs, made)
    return made


def opaque(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of somebody's operator: computed by its CPU kernel, or shaped by the declared rule or its fake kernel.

    Raises UsageError where there is none of them. Without a declaration and without a fake it is listed as unknown.
    """
    known = facts(func)
    operands = evaluate.tensors_in(args, kwargs)
    declared = declaration(known.name)
    if scope.ghost and (not known.has_cpu_kernel or evaluate.any_ghost(scope, args, kwargs)):
        result = evaluate.shapes_by_rule(scope, func, declared.shape_rule if declared else None, args, kwargs)
    else:
        result = evaluate.evaluate(scope, func, args, kwargs)
    count_opaque(scope, known.name, operands, (result,), described=known.has_fake)
    return wrap(scope, result, operands)


def count_opaque(
    scope: Scope, name: str, arguments: Sequence[Any], results: Sequence[Any] = (), *, described: bool
) -> None:
    """One operation and what its declaration adds; unless declared or `described`, the report names it as unknown."""
    declared = declaration(name)
    scope.operation(name, arguments, results, attention=(declared.attention if declared else None) or "")
    if declared is None:
        if not described:
            scope.unknown(name)
        return
    for _ in range(declared.read_backs):
        scope.transfer("read-back", name)


def on_device(known: Facts, operands: list[Tensor], kwargs: dict[str, Any]) -> bool:
    """Whether the operation runs on the device: by its `device` argument, else by its operands."""
    device = kwargs.get("device")
    if device is not None and known.factory:
        return torch.device(device).type == "cuda"
    return any(isinstance(operand, DeviceTensor) for operand in operands)


def host_operation(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Nothing of the device's, but pinned memory is remembered: a build without CUDA cannot pin."""
    if pin := kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    result = func(*evaluate.mapped(args, evaluate.host_of), **kwargs)
    scope.tell(Kind.HOST, facts(func).name, (*args, *kwargs.values()), (result,))
    return scope.pin(result, facts(func).name) if pin else result


def _read(tensor: Tensor) -> Tensor:
    return torch.tensor(tensor.item(), dtype=tensor.dtype) if isinstance(tensor, DeviceTensor) else tensor


def require_one_device(
    scope: Scope, known: Facts, operands: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Refuse what CUDA refuses. A 0-d host tensor may stand beside device tensors where TensorIterator takes it.

    An operator that somebody declared may take host tensors: torch leaves it to the operator's own kernel to refuse.
    """
    if known.factory:
        return
    declared = declaration(known.name) is not None
    for operand in operands:
        if is_ours(scope, operand, known.name) or declared:
            continue
        if operand.dim() > 0 or not known.host_scalars or _is_written(operand, known, args, kwargs):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{CUDA} and {operand.device}! ({known.name} at {cause_line()})"
            )


def is_ours(scope: Scope, operand: Tensor, name: str) -> bool:
    """Whether it is on this device; else it is the host's. Raises UsageError for a tensor of any other device."""
    if isinstance(operand, DeviceTensor):
        if operand.block.memory is not scope.memory:
            raise UsageError(f"A tensor of a closed counting device is used in {name} at {cause_line()}.")
        return True
    if operand.device.type == "cuda":
        raise UsageError(f"A tensor of a real GPU meets the counting device in {name} at {cause_line()}.")
    return False


def _is_written(operand: Tensor, known: Facts, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(args[key] is operand for key in known.writes if isinstance(key, int) and key < len(args)) or any(
        kwargs.get(key) is operand for key in known.writes if isinstance(key, str)
    )


def count(scope: Scope, known: Facts, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Count the operation and the values it brings to the host; `result` is still the host's."""
    if scope.counter is None and scope.capture is None:
        return
    sync = SYNCS.get(known.name)
    if sync and sync.unless and sync.unless(args, kwargs):
        sync = None
    results = evaluate.tensors_in((result,), {})
    makes = any(tensor.untyped_storage()._cdata not in scope.memory.blocks for tensor in results)
    changes = bool(known.writes) and not known.view_in_place
    if (makes or changes or (sync and sync.device_operation)) and not known.allocation_only:
        scope.operation(known.name, (*args, *kwargs.values()), results, attention=ATTENTION.get(known.name, ""))
    elif not sync:
        scope.tell(Kind.VIEW, known.name, (*args, *kwargs.values()), results)
    if sync:
        operands = evaluate.tensors_in(args, {})
        for number in range(sync.read_backs):
            size = sync.sizes[number] if sync.sizes else sync.bytes
            operand = operands[min(number, len(operands) - 1)]
            read = evaluate.host_of(operand) if known.name == "aten::_local_scalar_dense" else None
            scope.transfer("read-back", known.name, size or operand.element_size(), source=read)
    if known.undescribed:
        _undescribed(scope, known.name)


def _undescribed(scope: Scope, name: str) -> None:
    """What somebody declared of an operation of torch's that no table describes, or that it is unknown."""
    declared = declaration(name)
    if declared is None:
        scope.unknown(name)
    for _ in range(declared.read_backs if declared else 0):
        scope.transfer("read-back", name)


def wrap(scope: Scope, result: Any, operands: list[Tensor]) -> Any:
    """Host results as device tensors; an operand written in place comes back as itself."""
    written = {id(operand.host): operand for operand in operands if isinstance(operand, DeviceTensor)}
    writer = next((each.block.writer for each in written.values() if each.block.writer), "")

    def one(host: Tensor) -> Tensor:
        itself = written.get(id(host))
        if itself is None:
            if torch.is_inference_mode_enabled() and _is_view_of_normal(scope, host, operands):
                with torch.inference_mode(False):
                    return to_device(scope, host)
            made = to_device(scope, host)
            if writer and not host.is_floating_point():
                made.block.writer = writer
            return made
        itself.adopt(host, scope.memory.block(host)[0])
        return itself

    return evaluate.mapped(result, one)


def _is_view_of_normal(scope: Scope, host: Tensor, operands: list[Tensor]) -> bool:
    """Also in inference mode a view of a normal tensor is a normal one: torch has it share the version counter."""
    block = scope.memory.blocks.get(host.untyped_storage()._cdata)
    return block is not None and any(
        isinstance(operand, DeviceTensor) and operand.block is block and not operand.is_inference()
        for operand in operands
    )


def to_device(scope: Scope, host: Tensor) -> DeviceTensor:
    """`host` as a device tensor; its memory counts as an allocation where no device tensor looks at it yet."""
    block, is_new = scope.memory.block(host)
    if is_new:
        scope.tell(Kind.ALLOCATION, "", (), (host,), bytes=block.bytes, live_bytes=scope.memory.live_bytes)
    return DeviceTensor(host, block)
