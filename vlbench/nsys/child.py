"""The side of a capture that runs inside the measured program. Imports nothing heavy; without a capture it
does nothing.

Contract:

- `vlbench/__main__.py` ends in `sys.exit(watch(main))`, so that the program's own exit code reaches the
  sidecar.
- The process that measures wraps what is to be captured: `with window() as count:`, and calls `count()` once
  for each iteration, around which it pushes the NVTX range `iteration` of domain `vlbench` itself. One window
  per run.
- VLBENCH_NSYS_SIDECAR in the environment switches both on; worker processes inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vlbench.nsys.sidecar import VARIABLE, record


def captured() -> bool:
    """Whether this program runs under `vlbench nsys capture`."""
    return bool(os.environ.get(VARIABLE))


def watch(main: Callable[[], int | None]) -> int:
    """Run `main`, record its start and end, and return its exit code; exceptions are passed on."""
    record("started")
    code = 1
    try:
        code = main() or 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        raise
    finally:
        record("exited", code=code)
    return code


@contextmanager
def window() -> Iterator[Callable[[], None]]:
    """Capture the enclosed code (cudaProfilerStart to cudaProfilerStop) and record how many iterations it
    counted.

    Outside a capture, and without a CUDA device, only the counting function is given.
    """
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    if not captured():
        yield count
        return
    import torch

    if not torch.cuda.is_available():
        record("no_cuda")
        yield count
        return
    cuda: Any = torch.cuda
    cuda.synchronize()  # work queued earlier must not run inside the window
    cuda.profiler.start()
    try:
        yield count
        cuda.synchronize()  # what was launched must have run, or its kernels are lost
    finally:
        cuda.profiler.stop()
        record("window", iterations=counted)
