"""Where a forward stops being finite: the first stage whose result holds NaN or infinity."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vlbench.trial.stage_results import results_of_stages


def is_finite(parts: Mapping[str, Tensor]) -> bool:
    """Is every value of every part a number?"""
    with torch.utils._python_dispatch._disable_current_modes():
        return all(bool(torch.isfinite(part).all()) for part in parts.values() if part.is_floating_point())


def first_not_finite(call: Callable[[], object]) -> str:
    """The name of the first stage of `call` whose result is not finite; "" where no stage is marked there."""
    found: list[str] = []

    def tell(name: str, result: Tensor) -> None:
        if not found and not is_finite({"": result}):
            found.append(name)

    results_of_stages(call, tell)
    return found[0] if found else ""
