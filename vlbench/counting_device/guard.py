"""Lets a torch without a CUDA driver handle tensors that say they are on `cuda:0`.

Torch's C++ enters a device guard in many places (indexing, `.to`, `.contiguous`), and a CPU build has none for CUDA:
the pointer in c10's table of guards is null. Torch itself lets Python write a guard for an out-of-tree device
(`torch._C._acc.DeviceGuard`: switching does nothing, the current device is `type_():0`). One such guard that says
"CUDA" is put into the table while counting, and what was there before comes back afterwards. On a CUDA build this also
keeps the driver out of the way, so counting needs none.

The table is `c10::impl::device_guard_impl_registry`, an exported array of pointers indexed by `c10::DeviceType`.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vlbench.errors import UsageError

_SYMBOL = "_ZN3c104impl26device_guard_impl_registryE"
_CUDA, _PRIVATEUSE1 = 1, 20  # c10/core/DeviceType.h
_LIBRARY = "libc10.dylib" if sys.platform == "darwin" else "libc10.so"

_Acc = torch._C._acc


class _CudaGuard(_Acc.DeviceGuard):
    def type_(self) -> Any:
        return torch._C._autograd.DeviceType.CUDA


@cache
def _table() -> ctypes.Array[ctypes.c_void_p]:
    library = Path(torch.__file__).parent / "lib" / _LIBRARY
    try:
        return (ctypes.c_void_p * (_PRIVATEUSE1 + 1)).in_dll(ctypes.CDLL(str(library)), _SYMBOL)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Counting is not measured on torch {torch.__version__} for {sys.platform}: {library} has no table of "
            "device guards; use a torch wheel for Linux or macOS, 2.11 or newer."
        ) from error


@cache
def _guard_pointer() -> int:
    """The C++ address of one `_CudaGuard`. Registering is torch's own way to hand it over, so do that and undo it."""
    table = _table()
    taken, table[_PRIVATEUSE1] = table[_PRIVATEUSE1], None
    try:
        _Acc.register_python_privateuseone_device_guard(_CudaGuard())  # torch keeps a reference
        pointer = table[_PRIVATEUSE1]
    finally:
        table[_PRIVATEUSE1] = taken
    assert pointer, "torch did not take the guard"
    return int(pointer)


@contextmanager
def cuda_device_guard() -> Iterator[None]:
    """Within this block `cuda:0` is the current CUDA device as far as torch's C++ can tell."""
    table, pointer = _table(), _guard_pointer()
    before, table[_CUDA] = table[_CUDA], pointer
    try:
        yield
    finally:
        table[_CUDA] = before
