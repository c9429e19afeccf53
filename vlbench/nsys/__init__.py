"""Read Nsight Systems and torch profiler captures back into tables, and take new ones.

    import vlbench.nsys

    capture = vlbench.nsys.load("report.sqlite")
    vlbench.nsys.per_range(capture)

Everything is imported on first use: `vlbench.nsys.child` runs inside the measured program and must not pull
in pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlbench.nsys.activity import (
        api_table as api_table,
        kernel_table as kernel_table,
        memcpy_table as memcpy_table,
        sync_table as sync_table,
    )
    from vlbench.nsys.advice import advise as advise
    from vlbench.nsys.compare import diff as diff
    from vlbench.nsys.encoder import find_forwards as find_forwards
    from vlbench.nsys.frames import Capture as Capture
    from vlbench.nsys.perfetto import write_trace as write_trace
    from vlbench.nsys.projection import project as project
    from vlbench.nsys.read import load as load
    from vlbench.nsys.summary import (
        coverage as coverage,
        per_iteration as per_iteration,
        per_range as per_range,
        stability as stability,
    )

_HOME = {
    **dict.fromkeys(("api_table", "kernel_table", "memcpy_table", "sync_table"), "activity"),
    **dict.fromkeys(("coverage", "per_iteration", "per_range", "stability"), "summary"),
    "Capture": "frames",
    "advise": "advice",
    "diff": "compare",
    "find_forwards": "encoder",
    "load": "read",
    "project": "projection",
    "write_trace": "perfetto",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
