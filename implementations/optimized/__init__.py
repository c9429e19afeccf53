"""The optimized tower and its flags: a file in this folder that decorates a way of a seam is found."""

import pkgutil
from importlib import import_module

# In the order of the forward, which is the order in which flags are listed; those of other files follow.
# isort: off
from . import grids, windows, inverse, rope, transfer, segments  # noqa: F401
from . import patch_embed, layout, rotary, attention, mlp, merge  # noqa: F401

# isort: on
from .presets import PRESETS, preset_flags
from .seam import OPTIMIZATIONS, Exactness, FlagError, FlagSet, Optimization, find_flag, with_requirements
from .tower import OptimizedVisionTower

for _file in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_file.name)

__all__ = [
    "OPTIMIZATIONS",
    "PRESETS",
    "Exactness",
    "FlagError",
    "FlagSet",
    "Optimization",
    "OptimizedVisionTower",
    "find_flag",
    "preset_flags",
    "with_requirements",
]
