"""The optimized tower and its flags."""

# In the order of the forward, which is the order in which flags are listed.
# isort: off
from . import grids, windows, inverse, rope, transfer, segments  # noqa: F401
from . import patch_embed, layout, rotary, attention, mlp, merge  # noqa: F401

# isort: on
from .presets import PRESETS, preset_flags
from .seam import OPTIMIZATIONS, Exactness, FlagError, FlagSet, Optimization, find_flag, with_requirements
from .tower import OptimizedVisionTower

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
