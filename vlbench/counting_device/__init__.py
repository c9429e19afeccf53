"""A device that says it is CUDA and counts what a GPU would be asked to do: see `CountingDevice`. It needs no GPU.

How it works. A tensor subclass claims `cuda:0` in Python and in torch's C++, so code under test and torch itself take
their CUDA paths; each of its operations reaches `interpret`, which counts it and carries it out on the host. What CUDA
does beyond launching kernels (read-backs, blocking copies) is a table with sources, `operations`. All hooks are taken
back when the device is closed, so counting shares a process with anything that does not count at the same time.

What a count is not. An operation is not a kernel: some are several, a contiguous copy is a memcpy. Workspace inside a
kernel, the allocator's rounding and its `cudaMalloc`s are not modelled. Strides of results are those of torch's CPU and
meta kernels, except for attention.

Somebody's operator is what its body asks for where that is Python (`custom_op`, `triton_op`); else it is one operation,
with the shapes of its fake kernel. `declare` says otherwise. A Triton kernel is one operation.

What it cannot see, and says so: an operator without a fake kernel, a Triton kernel, or one of torch's solvers, that
nobody declared (`unknown`), compiled code (`not_measured`), a Triton kernel in shadow mode (refused). A value that
follows from floats in ghost mode is taken and listed (`assumed`), or refused where nothing tells it (GhostValueError).

A CUDA graph is captured here as on a GPU: what no capture can hold is an error with its line, what is captured is
counted once, and a replay is one operation that carries out all of it again (`graphs`).

And in silence: an operator of C++ that waits for the device, where nobody declared it; questions asked through
functions imported before the device was opened (`from torch.cuda import is_available`), or of host tensors; who reads
`torch.version.cuda`; memory that was pinned before the device was opened, which counts as pageable.

What it counted is `vlbench.record.counts.Counts`. Names are imported on first use, so that reading does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlbench.counting_device.declarations import declare
    from vlbench.counting_device.device import CountingDevice
    from vlbench.counting_device.evaluate import GhostValueError
    from vlbench.counting_device.profiles import PROFILES, Profile

_HOME = {
    "CountingDevice": "device",
    "GhostValueError": "evaluate",
    "PROFILES": "profiles",
    "Profile": "profiles",
    "declare": "declarations",
}

__all__ = ["PROFILES", "CountingDevice", "GhostValueError", "Profile", "declare"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
