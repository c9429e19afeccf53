"""The side of a capture that runs inside the measured program. Imports nothing heavy; without a capture, does nothing.

Contract:

- `vlbench/__main__.py` ends in `sys.exit(watch(main))`, so that the program's own exit code reaches the
  sidecar.
- The process that measures wraps what is to be captured: `with window() as count:`, and calls `count()` once
  for each iteration, around which it pushes the NVTX range `iteration` of domain `vlbench` itself. One window
  per run.
- VLBENCH_NSYS_SIDECAR in the environment switches both on; worker processes inherit it.

nsys' exit code says nothing about the program's, and the window may be opened in a worker process. So every process of
the program appends events to one file beside the report, the sidecar:

    {"event": "started", "pid": 1, "time": 1700000000.0}
    {"event": "window", "pid": 2, "time": .., "iterations": 20}
    {"event": "no_cuda", "pid": 2, "time": ..}      the window was reached without a CUDA device
    {"event": "exited", "pid": 1, "time": .., "code": 0}
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "VLBENCH_NSYS_SIDECAR"


def record(event: str, **values: int) -> None:
    """Append one event; does nothing where no sidecar is asked for."""
    if not (path := os.environ.get(VARIABLE)):
        return
    line = json.dumps({"event": event, "pid": os.getpid(), "time": time.time(), **values}) + "\n"
    with open(path, "a", encoding="utf-8") as file:
        file.write(line)


@dataclass(frozen=True)
class Sidecar:
    """What the program said. `code` is None where it never said that it ended: it crashed or was killed."""

    started: bool = False
    code: int | None = None
    windows: int = 0
    iterations: int = 0
    no_cuda: bool = False


def read_sidecar(path: Path) -> Sidecar:
    """Read the events; a line cut short by a crash is passed over."""
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    kinds = [event.get("event") for event in events]
    windows = [event for event in events if event.get("event") == "window"]
    codes = [int(event["code"]) for event in events if event.get("event") == "exited" and "code" in event]
    return Sidecar(
        started="started" in kinds,
        code=codes[-1] if codes else None,
        windows=len(windows),
        iterations=sum(int(event.get("iterations", 0)) for event in windows),
        no_cuda="no_cuda" in kinds,
    )


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
    """Capture the enclosed code (cudaProfilerStart to cudaProfilerStop) and record how many iterations it counted.

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
