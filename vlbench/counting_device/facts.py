"""What torch's own schema says about an operation, looked up once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload

from vlbench.counting_device.operations import ALLOCATIONS, BY_MASK, HOST_SCALARS, SYNCS

_CPU_KEYS = ("CPU", "CompositeExplicitAutograd")


@dataclass(frozen=True)
class Facts:
    name: str
    """`namespace::name.overload`, without the overload where it is the default one."""
    opaque: bool
    """Not one of torch's own: somebody's kernel behind `torch.ops.<namespace>`."""
    composite: bool
    """Written in terms of other operations: on CUDA it is exactly those."""
    has_cpu_kernel: bool
    factory: bool
    """Takes a device, so it says itself where its result is."""
    writes: frozenset[int | str]
    """Arguments it writes into, by position and by name."""
    view_in_place: bool
    """Changes a tensor's shape and leaves its memory alone."""
    host_scalars: bool
    """Accepts 0-d host tensors beside device tensors, as TensorIterator does."""
    allocation_only: bool
    needs_values: bool
    """What it returns, or how large that is, depends on values."""
    undescribed: bool
    """It needs values, so it syncs, and the table does not say how often."""


@cache
def facts(func: OpOverload[..., Any]) -> Facts:
    name: str = func.name()  # type: ignore[no-untyped-call]
    namespace = name.partition("::")[0]
    arguments = func._schema.arguments
    written = [
        (position, argument.name)
        for position, argument in enumerate(arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    needs_values = name not in BY_MASK and (
        torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags
    )
    return Facts(
        name=name,
        opaque=namespace not in ("aten", "prim", "prims"),
        composite=torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"),
        has_cpu_kernel=any(torch._C._dispatch_has_kernel_for_dispatch_key(name, key) for key in _CPU_KEYS),
        factory=any(argument.name == "device" for argument in arguments),
        writes=frozenset(key for pair in written for key in pair),
        view_in_place=torch.Tag.inplace_view in func.tags,
        host_scalars=torch.Tag.pointwise in func.tags or name in HOST_SCALARS,
        allocation_only=name in ALLOCATIONS,
        needs_values=needs_values,
        undescribed=needs_values and name not in SYNCS,
    )
