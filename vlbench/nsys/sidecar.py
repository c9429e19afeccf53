"""The captured program's own word on what happened: JSON lines beside the report.

nsys' exit code says nothing about the program's, and the window may be opened in a worker process. So every
process of the program appends events to one file, named by VLBENCH_NSYS_SIDECAR:

    {"event": "started", "pid": 1, "time": 1700000000.0}
    {"event": "window", "pid": 2, "time": .., "iterations": 20}
    {"event": "no_cuda", "pid": 2, "time": ..}      the window was reached without a CUDA device
    {"event": "exited", "pid": 1, "time": .., "code": 0}
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "VLBENCH_NSYS_SIDECAR"


def record(event: str, **values: int) -> None:
    """Append one event; does nothing where no sidecar is asked for."""
    path = os.environ.get(VARIABLE)
    if not path:
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
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    windows = [event for event in events if event.get("event") == "window"]
    codes = [int(event["code"]) for event in events if event.get("event") == "exited" and "code" in event]
    return Sidecar(
        started=any(event.get("event") == "started" for event in events),
        code=codes[-1] if codes else None,
        windows=len(windows),
        iterations=sum(int(event.get("iterations", 0)) for event in windows),
        no_cuda=any(event.get("event") == "no_cuda" for event in events),
    )
