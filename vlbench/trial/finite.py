"""Where a forward stops being finite: the first stage whose result holds NaN or infinity."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vlbench.implementations.stage import listen


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what the last operation gave. A mask may hold infinities inside a stage; what leaves the stage may not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.first = ""
        self._last: Any = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._last = func(*args, **(kwargs or {}))
        return self._last

    def enter(self, name: str) -> None:
        """A stage begins."""

    def exit(self, name: str) -> None:
        """Stages inside others end before them, so the first that is told is the innermost."""
        if not self.first and isinstance(self._last, Tensor) and not is_finite({"": self._last}):
            self.first = name


def is_finite(parts: Mapping[str, Tensor]) -> bool:
    """Is every value of every part a number?"""
    with torch.utils._python_dispatch._disable_current_modes():
        return all(bool(torch.isfinite(part).all()) for part in parts.values() if part.is_floating_point())


def first_not_finite(call: Callable[[], object]) -> str:
    """The name of the first stage of `call` whose result is not finite; "" where no stage is marked there."""
    watch = _Watch()
    with listen(watch), watch:
        call()
    return watch.first
