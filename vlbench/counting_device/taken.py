"""Functions of torch that take device tensors as data without asking the dispatcher."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from vlbench.counting_device.tensor import DeviceTensor


def reading_numbers(tensor: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.tensor([n, m])` of numbers on the device, which torch reads back one by one (utils/tensor_new.cpp)."""

    def reading(data: Any, *args: Any, **options: Any) -> Tensor:
        dtypes: list[torch.dtype] = []
        if isinstance(data, (list, tuple)):
            data, held = _numbers(data, dtypes), len(dtypes)
            if held and not args and options.get("dtype") is None:
                options["dtype"] = reduce(torch.promote_types, dtypes)
        return tensor(data, *args, **options)

    return reading


def _numbers(data: Any, dtypes: list[torch.dtype]) -> Any:
    """`data` with numbers in place of device tensors; where there are any, all `dtypes` that it holds."""
    if not _holds_device_tensors(data):
        return data
    if isinstance(data, (list, tuple)) or (isinstance(data, DeviceTensor) and data.dim()):
        return [_numbers(each, dtypes) if _holds_device_tensors(each) else _plain(each, dtypes) for each in data]
    dtypes.append(data.dtype)
    return data.item()


def _plain(data: Any, dtypes: list[torch.dtype]) -> Any:
    dtypes.append(torch.asarray(data).dtype)
    return data


def _holds_device_tensors(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(map(_holds_device_tensors, data))
    return isinstance(data, DeviceTensor)


_TOLIST = Tensor.tolist


def tolist(tensor: Tensor) -> Any:
    """`torch.Tensor.tolist(x)`, which torch refuses for subclasses."""
    return DeviceTensor.tolist(tensor) if isinstance(tensor, DeviceTensor) else _TOLIST(tensor)


def shared(take: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.from_dlpack` of a device tensor: the same memory."""

    def taken(source: Any, *args: Any, **options: Any) -> Tensor:
        if isinstance(source, DeviceTensor):
            return source.detach()
        return take(source, *args, **options)

    return taken
