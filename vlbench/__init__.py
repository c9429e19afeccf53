"""vlbench: which optimization of a vision tower helps, is it still right, and what did a change break.

All that is public and stable stands in `__all__`; docs/api.md says what that means.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vlbench.version import __version__

if TYPE_CHECKING:
    from vlbench.api.functions import (
        ab,
        atlas,
        capturable,
        case,
        compare,
        count,
        count_over,
        fleet,
        gate,
        history,
        judge,
        judge_patch,
        load,
        merge,
        plan,
        predict,
        predict_capture,
        profile,
        recommend,
        report,
        run,
        run_plan,
        simulate,
        verify,
    )
    from vlbench.api.measured import Interrupted
    from vlbench.counting_device.allowed import allow_sync
    from vlbench.errors import IncomparableError, UsageError
    from vlbench.implementations.output import VisionOutput
    from vlbench.implementations.preprocessing import Images, Preprocessing
    from vlbench.towers.tower import Tower
    from vlbench.traffic.recording import recording

__all__ = [
    "Images",
    "IncomparableError",
    "Interrupted",
    "Preprocessing",
    "Tower",
    "UsageError",
    "VisionOutput",
    "__version__",
    "ab",
    "allow_sync",
    "atlas",
    "capturable",
    "case",
    "compare",
    "count",
    "count_over",
    "fleet",
    "gate",
    "history",
    "judge",
    "judge_patch",
    "load",
    "merge",
    "plan",
    "predict",
    "predict_capture",
    "profile",
    "recommend",
    "recording",
    "report",
    "run",
    "run_plan",
    "simulate",
    "verify",
]

_HOME = {
    "allow_sync": "counting_device.allowed",
    "Images": "implementations.preprocessing",
    "IncomparableError": "errors",
    "Interrupted": "api.measured",
    "Preprocessing": "implementations.preprocessing",
    "Tower": "towers.tower",
    "recording": "traffic.recording",
    "UsageError": "errors",
    "VisionOutput": "implementations.output",
}
"""Where lies what is none of `vlbench.api.functions`."""


def __getattr__(name: str) -> object:
    # Imported on first use, so that `import vlbench` and `vlbench --help` stay quick.
    if name == "nsys":  # a room of its own, which is public
        return import_module("vlbench.nsys")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'api.functions')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
