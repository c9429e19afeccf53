"""The optimized tower and its flags. A file here, in `kernels/`, `prompt/` or `execution/` is found if it decorates."""

import pkgutil
from importlib import import_module
from pathlib import Path

# In the order of the forward, which is the order in which flags are listed; those of other files follow.
# isort: off
from . import grids, windows, inverse, rope, transfer, segments, patch_embed  # noqa: F401
from . import positions, layout, rotary, attention, varlen, block_mask, mlp, deepstack  # noqa: F401

# isort: on
from .presets import PRESETS, USUAL, applicable, preset_flags
from .seam import OPTIMIZATIONS, Exactness, FlagError, FlagSet, Optimization, find_flag, with_requirements
from .tower import OptimizedVisionTower

_PARENT = __name__.rpartition(".")[0]
for _room in ("optimized", "optimized.kernels", "prompt", "execution"):
    for _file in pkgutil.iter_modules(
        [str(Path(__file__).parents[1].joinpath(*_room.split(".")))], f"{_PARENT}.{_room}."
    ):
        import_module(_file.name)

__all__ = [
    "OPTIMIZATIONS",
    "PRESETS",
    "USUAL",
    "Exactness",
    "FlagError",
    "FlagSet",
    "Optimization",
    "OptimizedVisionTower",
    "applicable",
    "find_flag",
    "preset_flags",
    "with_requirements",
]
