"""What is fed in: scenario files, photos or noise, turned into grids and pixels.

Names are imported on first use, so that listing scenarios loads neither torch nor Pillow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlbench.workload.batch import Batch, build_batch, grids_only, items_of
    from vlbench.workload.library import Scenario, load_scenario, scenario_names
    from vlbench.workload.scenario import ScenarioPoint

_HOME = {
    "Batch": "batch",
    "Scenario": "library",
    "ScenarioPoint": "scenario",
    "build_batch": "batch",
    "grids_only": "batch",
    "items_of": "batch",
    "load_scenario": "library",
    "scenario_names": "library",
}

__all__ = [
    "Batch",
    "Scenario",
    "ScenarioPoint",
    "build_batch",
    "grids_only",
    "items_of",
    "load_scenario",
    "scenario_names",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
