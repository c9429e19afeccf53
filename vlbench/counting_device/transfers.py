"""Copies between host and device: how many bytes cross, whether the host waits, and what runs on the device for it.

The rules are those of aten/src/ATen/native/cuda/Copy.cu (copy_kernel_cuda): a copy of equal layout and dtype is one
memcpy; any other goes through a contiguous temporary, and types are converted on the host if the copy blocks, on the
device if not. `non_blocking` only helps pinned memory: CUDA stages pageable memory while the host waits (CUDA driver
API, "API synchronization behavior").
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vlbench.counting_device.assumed import taken_copy
from vlbench.counting_device.evaluate import host_of, is_ghost, shapes_of_floats
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import Operation, carry_out, handles, host_operation, to_device
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.record.sequence import Kind


class _Plan(NamedTuple):
    bytes: int
    straight: bool
    """Whether the caller's own host memory is read or written, and not a pageable temporary."""
    device_operations: int


def _plan(source: Tensor, target: Tensor, *, upload: bool, convert_on_device: bool) -> _Plan:
    same_dtype = source.dtype == target.dtype
    expanded = source.expand(target.size())
    if same_dtype and (
        (expanded.is_contiguous() and target.is_contiguous())
        or (expanded.stride() == target.stride() and _is_dense(expanded))
    ):
        return _Plan(target.numel() * target.element_size(), straight=True, device_operations=0)
    convert_at_source = convert_on_device is not upload
    width = (target if convert_at_source else source).element_size()
    source_steps = int(convert_at_source and not same_dtype) + int(not expanded.is_contiguous())
    target_step = int(not (target.is_contiguous() and (convert_at_source or same_dtype)))
    host_steps, device_steps = (source_steps, target_step) if upload else (target_step, source_steps)
    return _Plan(target.numel() * width, straight=host_steps == 0, device_operations=device_steps)


def _is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill their stretch of memory once, in whatever order of dimensions."""
    extent = 1 + sum((n - 1) * s for n, s in zip(tensor.size(), tensor.stride(), strict=True))
    return extent == tensor.numel() and 0 not in tensor.stride()


def _count(
    scope: Scope, name: str, source: Tensor, target: Tensor, *, original: Tensor, upload: bool, non_blocking: bool
) -> None:
    if target.numel() == 0:
        return
    plan = _plan(source, target, upload=upload, convert_on_device=non_blocking)
    on_device = [(target, source)] * plan.device_operations
    for both in () if upload else on_device:
        scope.operation("aten::copy_", both, both[:1])
    pinned = plan.straight and (source if upload else target) in scope.pinned
    scope.transfer(
        "upload" if upload else "read-back",
        name,
        plan.bytes,
        blocking=not (non_blocking and pinned),
        pinned=pinned,
        source=host_of(original),
    )
    for both in on_device if upload else ():
        scope.operation("aten::copy_", both, both[:1])


@handles("aten::_to_copy")
def to_copy(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`.to`, `.cpu()`, `.cuda()`, `torch.tensor(device=)`: across the bus, or a conversion where the tensor is."""
    source: Tensor = args[0]
    device = kwargs.get("device")
    uploads = not isinstance(source, DeviceTensor) and device is not None and device.type == "cuda"
    downloads = isinstance(source, DeviceTensor) and device is not None and device.type == "cpu"
    if not (uploads or downloads):
        if isinstance(source, DeviceTensor):
            return carry_out(scope, func, args, {key: value for key, value in kwargs.items() if key != "device"})
        return host_operation(scope, func, args, kwargs)
    non_blocking = bool(kwargs.get("non_blocking"))
    behind = source.host if isinstance(source, DeviceTensor) else source
    if is_ghost(scope, source):
        behind = taken_copy(scope, "a copy to the host (aten::_to_copy)", source)
    if behind.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    result: Tensor = func(behind, **{**kwargs, "device": torch.device("cpu"), "pin_memory": False})
    if downloads:
        if non_blocking:
            scope.pin(
                result, "aten::_to_copy"
            )  # torch pins the target of a non-blocking download (TensorConversions.cpp)
        _count(scope, "aten::_to_copy", behind, result, original=source, upload=False, non_blocking=non_blocking)
        return result
    _count(scope, "aten::_to_copy", behind, result, original=source, upload=True, non_blocking=non_blocking)
    return to_device(scope, shapes_of_floats(scope, result) if scope.ghost else result)


@handles("aten::copy_")
def copy(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`target.copy_(source)` and `target[a:b] = source`, in either direction."""
    target, source = args[0], args[1]
    non_blocking = bool(args[2] if len(args) > 2 else kwargs.get("non_blocking"))
    upload = isinstance(target, DeviceTensor)
    if isinstance(source, DeviceTensor) is upload:
        return carry_out(scope, func, args, kwargs) if upload else host_operation(scope, func, args, kwargs)
    there, here = (target.host, source) if upload else (target, source.host)
    if is_ghost(scope, source):
        here = taken_copy(scope, "a copy to the host (aten::copy_)", source)
    _count(scope, "aten::copy_", here, there, original=source, upload=upload, non_blocking=non_blocking)
    if not is_ghost(scope, target):
        there.copy_(here)
    return target


@handles("aten::_pin_memory")
def pin_memory(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`.pin_memory()` of a host tensor: a copy that is remembered as pinned."""
    if isinstance(args[0], DeviceTensor):
        raise RuntimeError("cannot pin a CUDA tensor: only dense CPU tensors can be pinned")
    pinned = scope.pin(args[0].clone(), facts(func).name)
    scope.tell(Kind.HOST, facts(func).name, args, (pinned,))
    return pinned


@handles("aten::is_pinned")
def is_pinned(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """`.is_pinned()`: no device tensor ever is."""
    return not isinstance(args[0], DeviceTensor) and args[0] in scope.pinned
