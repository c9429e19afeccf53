"""What a tower does while it is timed, beside the one that it is held against."""

from __future__ import annotations

from subprocess import CompletedProcess

from tests.traps.traps import Copy, trap
from tests.trial.plans import ONE_PICTURE

RUN = "vlbench run --scenario small.toml --tower tower:tower --tower second:tower --budget 1 --no-card --device cpu"


def beside(title: str, exit: int, says: str, code: str, **fields: str) -> None:
    """Lists a forward of `second.py`, which may call the right one; see `tests.traps.toy`."""

    @trap("tower", title, exit, says, command="vlbench run", **fields)
    def _(copy: Copy) -> CompletedProcess[str]:
        copy.write("small.toml", ONE_PICTURE)
        body = "\n".join(f"        {line}" for line in code.strip().splitlines())
        copy.write("second.py", SECOND.replace("        # FORWARD", body))
        return copy.run(RUN)


SECOND = """
import gc
import time

import torch

import tower as first
import vlbench


class Second(first.Vision):
    def forward(self, pixels, grid_thw):
        # FORWARD
        return super().forward(pixels, grid_thw)


def tower():
    return vlbench.Tower(
        lambda device, dtype: Second().to(device, dtype), arguments=lambda pixels, grid_thw: (pixels, grid_thw)
    )
"""

beside("Nothing: it is the same tower", 0, "second:tower", "pass")
beside(
    "Copies the reference's output from `gc.get_objects()`",
    5,
    "second:tower",
    """
for each in gc.get_objects():
    if isinstance(each, torch.Tensor) and each.shape == (len(pixels) // 4, first.WIDTH) and each.any():
        return each.clone()
""",
)
beside(
    "Returns its last output where it is timed, by shape",
    5,
    "second:tower",
    """
known = self.__dict__.setdefault("last", {})
if len(pixels) not in known:
    known[len(pixels)] = super().forward(pixels, grid_thw)
return known[len(pixels)].clone()
""",
)
beside("Writes into its input", 5, "second:tower", "pixels.zero_()")
beside(
    "Returns a tensor subclass",
    5,
    "second:tower",
    """
class Later(torch.Tensor):
    pass


return super().forward(pixels, grid_thw).as_subclass(Later)
""",
)
beside("Ends its process", 6, "second:tower", "import os\n\nos._exit(0)")
beside(
    "Raises in the tenth call",
    6,
    "second:tower",
    """
self.calls = getattr(self, "calls", 0) + 1
if self.calls == 10:
    raise RuntimeError("not now")
""",
)
beside(
    "Replaces `time.perf_counter` by a clock that stands still",
    6,
    "second:tower",
    "time.perf_counter = time.perf_counter_ns = lambda: 0",
)
