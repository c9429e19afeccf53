"""A second witness for syncs on a GPU: torch's own warnings, put down to lines as the counting device puts its own."""

from __future__ import annotations

import sys
import warnings
from collections import Counter as Multiset
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vlbench.counting_device.where import cause_line
from vlbench.record.site import Where

SAYS = "synchronizing CUDA operation"


@contextmanager
def warned_lines() -> Iterator[Multiset[Where]]:
    """Lines at which torch warns of a sync inside the block; other warnings go where they went.

    Torch warns while `torch.cuda.set_sync_debug_mode("warn")` holds.
    """
    lines: Multiset[Where] = Multiset()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show = warnings.showwarning

        def note(message: Warning | str, *rest: object, **more: object) -> None:
            if SAYS in str(message):
                lines[cause_line(_outside_warnings(sys._getframe(1)))] += 1
            else:
                show(message, *rest, **more)  # type: ignore[arg-type]

        warnings.showwarning = note
        yield lines


def _outside_warnings(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename.endswith("warnings.py"):
        frame = frame.f_back
    return frame
