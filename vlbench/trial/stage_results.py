"""What the stages of a forward end with, and how far off that is, stage by stage."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import Optimization, with_requirements
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, random_weights
from vlbench.trial.difference import relative_error

Tell = Callable[[str, Tensor], None]
"""Told of each stage that ends, by its name and with the result of its last operation."""
GRID = (1, 16, 16)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what the last operation gave. A mask may hold infinities inside a stage; what leaves the stage may not."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tell = tell
        self._last: Any = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._last = func(*args, **(kwargs or {}))
        return self._last

    def enter(self, name: str) -> None:
        """A stage begins."""

    def exit(self, name: str) -> None:
        """Stages inside others end before them, so the innermost is told of first."""
        if isinstance(self._last, Tensor):
            self.tell(name, self._last)


def results_of_stages(call: Callable[[], object], tell: Tell) -> None:
    """`tell` is told of the stages of `call` as they end."""
    watch = _Watch(tell)
    with listen(watch), watch:
        call()


def small_model(flag: Optimization) -> VisionConfig:
    """The first tiny model that a flag means something for."""
    small = (each for name, each in MODELS.items() if name.endswith("-tiny"))
    return next(each for each in small if flag.inapplicable(each, "cpu") is None)


def errors_by_stage(flag: Optimization, dtype: torch.dtype = torch.bfloat16) -> dict[str, tuple[float, float]]:
    """Of each stage the relative error of its result in `dtype`: with the flag, and of the reference tower.

    Held against the reference tower in fp32 with the same weights: random ones of `small_model`, on one image, on the
    CPU.
    """
    config = small_model(flag)
    weights = random_weights(config, dtype=dtype)
    wide = SharedTensors({key: each.float() for key, each in weights.items()})
    shape = config.preprocessing.pixels_shape([GRID])
    pixels = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)

    def results(flags: frozenset[str] | None, weights: SharedTensors) -> dict[str, Tensor]:
        tower, found = build_tower(config, flags, weights), dict[str, Tensor]()
        with torch.inference_mode():
            given = pixels.to(next(iter(weights.values())).dtype)
            results_of_stages(lambda: tower(given, torch.tensor([GRID])), found.__setitem__)
        return {name: each.float() for name, each in found.items()}

    exact, own, changed = results(None, wide), results(None, weights), results(with_requirements([flag.flag]), weights)
    computed = [name for name in exact if name.startswith(("patch_embed", "block", "deepstack", "merger"))]
    return {
        name: (relative_error(changed[name], exact[name]), relative_error(own[name], exact[name])) for name in computed
    }
