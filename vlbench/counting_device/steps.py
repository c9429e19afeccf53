"""The steps of a tower's work: the operations that it asks for, on a CPU as on the counting device.

Each is taken whole, as Python calls it, so that what torch makes of it on either device is no difference. Views,
copies, reads and plain memory are left out, as they follow from where tensors are.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vlbench.counting_device.evaluate import tensors_in
from vlbench.counting_device.mode import EagerMode
from vlbench.counting_device.where import cause_line
from vlbench.record.work import Step

_MOVES = re.compile(
    r"aten::(_?to_copy|to|_?copy_?|clone|contiguous|detach_?|lift|lift_fresh|_?pin_memory|is_pinned|item|is_nonzero"
    r"|_local_scalar_dense|fill_|zero_|scalar_tensor|resize_|set_|(new_)?empty\w*)(\.|$)"
)


class _Steps(EagerMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[Step] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **kwargs or {})
        name, made = func.name(), tensors_in((result,), {})
        aliases = [each.alias_info for each in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if made and not is_view and not _MOVES.match(name):
            step = Step(operation=name.partition(".")[0], shape=tuple(made[0].shape), where=cause_line())
            self.steps.append(step)
        return result


@contextmanager
def steps_taken() -> Iterator[list[Step]]:
    """Those of the block, in inference mode: outside of it torch takes some operations to pieces before."""
    taking = _Steps()
    with torch.inference_mode(), taking:
        yield taking.steps
