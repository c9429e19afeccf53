"""What users say of kernels that cannot be looked into, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlbench.counting_device.operations import ATTENTION
from vlbench.errors import UsageError

ShapeRule = Callable[..., Any]


@dataclass(frozen=True)
class Declaration:
    """What a user says of an opaque kernel."""

    shape_rule: ShapeRule | None
    attention: str | None
    read_backs: int
    writes: tuple[str, ...] | None


_declared: dict[str, Declaration] = {}


def declare(
    name: str,
    shape_rule: ShapeRule | None = None,
    *,
    attention: str | None = None,
    read_backs: int = 0,
    writes: tuple[str, ...] | None = None,
) -> None:
    """Say what the kernel `name` returns and costs: "flash_attn::varlen_fwd" (all overloads) or "triton::my_kernel".

    "my_stack::*" says it of all operators of a namespace that nothing else is said of.

    It counts as one device operation, and its body, if it has one in Python, is not looked into. `shape_rule` takes the
    operator's arguments, tensors as meta tensors, and returns what the operator returns; without one the operator's own
    fake kernel is used. `attention` names the backend of an attention kernel; `read_backs` says how often it makes the
    host wait. A Triton kernel has no schema and returns nothing: `writes` names the arguments it writes into, and
    without it that may be any of them. Raises UsageError for a name without a namespace.
    """
    if not all(name.partition("::")):
        raise UsageError(
            f"declare({name!r}): a kernel is named as namespace::operator, or as triton::function for a Triton kernel."
        )
    _declared[name] = Declaration(shape_rule, attention, read_backs, writes)


def declaration(name: str) -> Declaration | None:
    """What was said of `name`, of its operator without the overload, or of its whole namespace."""
    names = (name, name.partition(".")[0], f"{name.partition('::')[0]}::*")
    return next((_declared[each] for each in names if each in _declared), None)


def declare_ours(package: str) -> None:
    """Say of the kernels of our implementations, as loaded under this name, that each is one launch and no wait."""
    declare(f"{package.replace('.', '_')}_kernels::*")


for _name, _backend in ATTENTION.items():
    if not _name.startswith("aten::"):
        declare(_name, attention=_backend)
declare_ours("vlbench.implementations")
