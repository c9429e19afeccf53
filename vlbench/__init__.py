"""vlbench: which optimization of a vision tower helps, is it still right, and what did a change break.

All that is public and stable stands in `__all__`; docs/api.md says what that means.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vlbench.version import __version__

if TYPE_CHECKING:
    from vlbench.api.capturing import capturable
    from vlbench.api.cases import case
    from vlbench.api.counts import count, count_over
    from vlbench.api.fleet import fleet
    from vlbench.api.history import history
    from vlbench.api.measured import Interrupted
    from vlbench.api.patching import judge_patch
    from vlbench.api.planning import merge, plan, run_plan
    from vlbench.api.predicting import predict, predict_capture
    from vlbench.api.profiles import profile
    from vlbench.api.reading import load
    from vlbench.api.recommending import recommend
    from vlbench.api.reporting import report
    from vlbench.api.running import run, verify
    from vlbench.api.side_by_side import ab
    from vlbench.api.simulating import simulate
    from vlbench.api.surveys import atlas
    from vlbench.api.verdicts import compare, gate, judge
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
    "api.capturing": "capturable",
    "api.cases": "case",
    "api.counts": "count count_over",
    "api.fleet": "fleet",
    "api.history": "history",
    "api.measured": "Interrupted",
    "api.patching": "judge_patch",
    "api.planning": "merge plan run_plan",
    "api.predicting": "predict predict_capture",
    "api.profiles": "profile",
    "api.reading": "load",
    "api.recommending": "recommend",
    "api.reporting": "report",
    "api.running": "run verify",
    "api.side_by_side": "ab",
    "api.simulating": "simulate",
    "api.surveys": "atlas",
    "api.verdicts": "compare gate judge",
    "counting_device.allowed": "allow_sync",
    "errors": "IncomparableError UsageError",
    "implementations.output": "VisionOutput",
    "implementations.preprocessing": "Images Preprocessing",
    "towers.tower": "Tower",
    "traffic.recording": "recording",
}
"""What each module has of it."""


def __getattr__(name: str) -> object:
    # Imported on first use, so that `import vlbench` and `vlbench --help` stay quick.
    if name == "nsys":  # a room of its own, which is public
        return import_module("vlbench.nsys")
    home = next((module for module, names in _HOME.items() if name in names.split()), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{home}"), name)
    if home.startswith("api.") and not isinstance(found, type):
        from vlbench.api.arguments import in_python

        found = in_python(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
