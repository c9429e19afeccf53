"""A plugin of vLLM and SGLang: with VLBENCH_RECORD=FILE.jsonl, each of their processes writes down its encoder calls.

Both load it by an entry point in every process, before they import their models. So it looks at classes as they are
made: a vision tower is a module of theirs, called so, that takes `grid_thw`. Nothing of theirs is imported for it.
"""

import os
import sys
from collections.abc import Iterator
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

from vlbench.traffic.recorder import Recorder
from vlbench.traffic.recording import GRIDS, MOST_MB, noting

VARIABLE = "VLBENCH_RECORD"
ENGINES = ("vllm", "sglang")
QUEUES = {
    "vllm.v1.core.sched.scheduler": ("schedule", "waiting"),
    "sglang.srt.managers.scheduler": ("get_next_batch_to_run", "waiting_queue"),
}
"""By module: the method of its `Scheduler` that begins a step, and the attribute that holds who waits."""
_INSTALLED: list[Recorder] = []


def plugin() -> None:
    """What the entry points name: records where the variable names a file. A process loads it once."""
    named = os.environ.get(VARIABLE)
    if named and not _INSTALLED:
        _INSTALLED.append(record_engine(Path(named)))


def record_engine(path: Path) -> Recorder:
    """Write down the calls of all vision towers of the engines, those to be defined and those that are there."""
    recorder = Recorder(path, MOST_MB << 20, shared=True)
    depth: list[int | None] = []

    def note(grid_thw: Any, dtype: object) -> None:
        if not depth:
            depth.append(None)
            _watch_queue(depth)  # by now the scheduler is there, if it lives in this process
        recorder.note(grid_thw, dtype, depth[0])

    from torch.nn import Module

    def seen(cls: type[Module]) -> None:
        forward = vars(cls).get("forward")
        ours = cls.__module__.partition(".")[0] in ENGINES and "vision" in cls.__name__.lower()
        if ours and callable(forward) and GRIDS in signature(forward).parameters:
            cls.forward = noting(forward, note, bound=False)

    def init_subclass(cls: Any, **options: Any) -> None:
        super(Module, cls).__init_subclass__(**options)
        seen(cls)

    Module.__init_subclass__ = classmethod(init_subclass)  # type: ignore[arg-type, assignment]
    for cls in _subclasses(Module):
        seen(cls)
    return recorder


def _subclasses(cls: type) -> Iterator[Any]:
    subclasses: list[type] = cls.__subclasses__()
    for each in subclasses:
        yield each
        yield from _subclasses(each)


def _watch_queue(depth: list[int | None]) -> None:
    """Have the scheduler of this process tell how many wait as each of its steps begins."""
    for module, (method, waiting) in QUEUES.items():
        scheduler = getattr(sys.modules.get(module), "Scheduler", None)
        step = getattr(scheduler, method, None)
        if step is None:
            continue

        @wraps(step)
        def told(self: Any, *args: Any, _step: Any = step, _waiting: str = waiting, **options: Any) -> Any:
            try:
                depth[0] = len(getattr(self, _waiting))
            except (AttributeError, TypeError):
                depth[0] = None  # it is kept elsewhere in this release
            return _step(self, *args, **options)

        setattr(scheduler, method, told)
