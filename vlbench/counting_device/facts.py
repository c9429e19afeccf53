"""What torch's own schema says about an operation, looked up once."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload

from vlbench.counting_device.operations import ALLOCATIONS, BY_MASK, HOST_SCALARS, SYNCS, is_several


@dataclass(frozen=True)
class Facts:
    """What holds for every call of one operation."""

    name: str
    """`namespace::name.overload`, without the overload where it is the default one."""
    opaque: bool
    """Not one of torch's own: somebody's kernel behind `torch.ops.<namespace>`."""
    body: torch._C.DispatchKey | None
    """The key of its kernel for CUDA where that is written in terms of other operations: it is exactly those."""
    has_cpu_kernel: bool
    has_fake: bool
    """Somebody told torch what shapes it returns: a fake or meta kernel."""
    factory: bool
    """Takes a device, so it says itself where its result is."""
    makes: bool
    """Returns tensors alone, none of which is an operand or a view of one, as far as the schema says."""
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
    """How often it syncs is not known: it needs values, and the table does not say so, or it is several in one."""


@cache
def facts(func: OpOverload[..., Any]) -> Facts:
    """Of an operation, from its schema, its kernels and the table of operations."""
    name: str = func.name()  # type: ignore[no-untyped-call]
    opaque = name.partition("::")[0] not in ("aten", "prim", "prims")
    arguments, returns = func._schema.arguments, func._schema.returns
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
        opaque=opaque,
        body=_body(name, opaque),
        has_cpu_kernel=_has_kernel(name, "CPU"),
        has_fake=_has_kernel(name, "Meta"),
        factory=any(argument.name == "device" for argument in arguments),
        makes=bool(returns) and all(str(each.type) == "Tensor" and each.alias_info is None for each in returns),
        writes=frozenset(key for pair in written for key in pair),
        view_in_place=torch.Tag.inplace_view in func.tags,
        host_scalars=torch.Tag.pointwise in func.tags or name in HOST_SCALARS,
        allocation_only=name in ALLOCATIONS,
        needs_values=needs_values,
        undescribed=(needs_values and name not in SYNCS) or is_several(name),
    )


_has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key


def _body(name: str, opaque: bool) -> torch._C.DispatchKey | None:
    """Torch's own are looked into where autograd does it too; of somebody's, those in Python or for all devices.

    `_impls` lists the kernels that were registered from Python, as "namespace/operator/key".
    """
    if _has_kernel(name, "CompositeImplicitAutograd"):
        return torch._C.DispatchKey.CompositeImplicitAutograd
    if opaque and _has_kernel(name, "CUDA"):
        in_python = f"{name.replace('::', '/')}/CUDA" in torch.library._impls
        return torch._C.DispatchKey.CUDA if in_python else None
    if opaque and _has_kernel(name, "CompositeExplicitAutograd"):
        return torch._C.DispatchKey.CompositeExplicitAutograd
    return None
