"""Indexing on the device: masks are counted on the host, host indices are uploaded, and no code says so."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vlbench.counting_device.assumed import mask_positions
from vlbench.counting_device.evaluate import is_ghost
from vlbench.counting_device.facts import facts
from vlbench.counting_device.interpret import Operation, carry_out, handles, host_operation, run_on_device, to_device
from vlbench.counting_device.operations import MASK_SYNC, MASKED_FILL_SYNC, SYNCS
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor

Index = Tensor | None


@handles("aten::index.Tensor")
def index(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """x[indices]: one read-back for each device mask, one blocking upload for each host index."""
    source, indices = args
    if not isinstance(source, DeviceTensor):
        return _on_host(scope, func, args, kwargs, indices)
    indices = _on_device(scope, facts(func).name, indices)
    return run_on_device(scope, func, (source, _sized(scope, source, indices)), kwargs)


@handles("aten::index_put_", "aten::_index_put_impl_", "aten::index_put")
def index_put(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """x[indices] = values. One device mask and a host scalar are a masked fill, which needs nothing on the host.

    Source: aten/src/ATen/native/TensorAdvancedIndexingUtils.h, canDispatchToMaskedFill.
    """
    target, indices, values = args[:3]
    accumulate = bool(args[3] if len(args) > 3 else kwargs.get("accumulate", False))
    if not isinstance(target, DeviceTensor):
        return _on_host(scope, func, args, kwargs, [*indices, values])
    given = [item for item in indices if item is not None]
    scalar = not isinstance(values, DeviceTensor) and values.numel() == 1
    if scalar and not accumulate and len(given) == 1 and _is_device_mask(given[0]):
        return run_on_device(scope, func, args, kwargs)
    indices = _on_device(scope, facts(func).name, indices)
    if not isinstance(values, DeviceTensor):
        if values.dim() > 0:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but the values of {facts(func).name} are on the host"
            )
        values = _uploaded(scope, "aten::_to_copy", values)  # torch's `value.to(device)`, which waits
    return run_on_device(scope, func, (target, _sized(scope, target, indices), values, *args[3:]), kwargs)


@handles("aten::masked_fill.Tensor", "aten::masked_fill_.Tensor")
def masked_fill(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """x.masked_fill(mask, value): a value on the device is read back, one on the host is not."""
    if isinstance(args[2], DeviceTensor):
        for _ in range(MASKED_FILL_SYNC.read_backs):
            scope.transfer("read-back", facts(func).name, args[2].element_size())
    return carry_out(scope, func, args, kwargs)


@handles("aten::masked_select")
def masked_select(scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """x.masked_select(mask): where only the floats are ghosts, the mask still tells how many there will be."""
    source, mask = args
    if isinstance(source, DeviceTensor):
        scope.operation("aten::nonzero", (mask,))  # as indexing by the mask
    if not (is_ghost(scope, source) and isinstance(mask, DeviceTensor) and not is_ghost(scope, mask)):
        return carry_out(scope, func, args, kwargs)
    shape = torch.broadcast_shapes(source.shape, mask.shape)  # type: ignore[no-untyped-call]
    picked = int(mask.host.expand(shape).sum())
    result = source.host.new_empty(picked)
    scope.operation(facts(func).name, args, (result,))
    for _ in range(SYNCS["aten::masked_select"].read_backs):
        scope.transfer("read-back", facts(func).name, MASK_SYNC.bytes)
    return to_device(scope, result)


def _is_mask(item: Tensor) -> bool:
    return item.dtype in (torch.bool, torch.uint8)


def _is_device_mask(item: Tensor) -> bool:
    return _is_mask(item) and isinstance(item, DeviceTensor)


def _on_host(
    scope: Scope, func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], others: Sequence[Index]
) -> Any:
    if any(isinstance(item, DeviceTensor) for item in others):
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu), "
            f"but found a tensor on cuda:0 ({facts(func).name})"
        )
    return host_operation(scope, func, args, kwargs)


def _on_device(scope: Scope, name: str, indices: Sequence[Index]) -> list[Index]:
    """Count what each index costs; host ones come back as the device tensors they are turned into.

    A host mask becomes positions in pinned memory, one upload without waiting (IndexingUtils.h, expandTensors).
    """
    on_device: list[Index] = []
    for item in indices:
        if item is None:
            on_device.append(None)
        elif isinstance(item, DeviceTensor):
            on_device.append(item)
            if _is_mask(item):  # as `x[mask.nonzero()]` does
                scope.operation("aten::nonzero", (item,))
                for _ in range(MASK_SYNC.read_backs):
                    scope.transfer("read-back", name, MASK_SYNC.bytes)
        elif _is_mask(item):
            positions = _uploaded(scope, name, scope.pin(item.nonzero(), name), blocking=False)
            on_device.extend(to_device(scope, part) for part in positions.host.unbind(1))
        else:
            on_device.append(_uploaded(scope, name, item))
    return on_device


def _uploaded(scope: Scope, name: str, host: Tensor, *, blocking: bool = True) -> DeviceTensor:
    if host.numel():
        size = host.numel() * host.element_size()
        scope.transfer("implicit upload", name, size, blocking=blocking, pinned=host in scope.pinned, source=host)
    return to_device(scope, host.clone())


def _sized(scope: Scope, indexed: DeviceTensor, indices: Sequence[Index]) -> list[Index]:
    """Known masks as positions, where a ghost is indexed: its meta tensor cannot count them."""
    if not is_ghost(scope, indexed):
        return list(indices)
    sized: list[Index] = []
    for item in indices:
        if item is None or not _is_device_mask(item):
            sized.append(item)
        elif is_ghost(scope, item):
            sized.extend(mask_positions(scope, item))
        else:
            sized.extend(item.host.nonzero().unbind(1))  # type: ignore[attr-defined]
    return sized
