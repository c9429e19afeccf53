"""Markers for the stages of a forward: `with stage("rope"): ...`. They cost nothing until someone listens.

The forward names its stages here and knows nothing of NVTX, clocks or counters: those are listeners, added from outside
with `listen`. Without one, `stage` returns a shared object that does nothing (about 0.1 microseconds a stage).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

REPLAYED = "graph replay"
"""The stage in which a runner without CUDA graphs does what one launch replays on a GPU: who predicts looks for it."""


class Listener(Protocol):
    """Told of every stage, in order, on the thread that runs the forward."""

    def enter(self, name: str) -> None:
        """A stage begins."""

    def exit(self, name: str) -> None:
        """The stage that began last ends, also where it raised."""


class Ranges:
    """A listener that holds what `opened` returns open during every stage."""

    def __init__(self, opened: Callable[[str], AbstractContextManager[Any]]) -> None:
        self._opened = opened
        self._open: list[AbstractContextManager[Any]] = []

    def enter(self, name: str) -> None:
        """Open one."""
        opened = self._opened(name)
        opened.__enter__()
        self._open.append(opened)

    def exit(self, name: str) -> None:
        """Close the innermost one."""
        self._open.pop().__exit__(None, None, None)


_NOTHING = nullcontext()
_listeners: tuple[Listener, ...] = ()


def stage(name: str) -> AbstractContextManager[None]:
    """Mark the enclosed code as one stage of the forward."""
    return _told(name, _listeners) if _listeners else _NOTHING


@contextmanager
def _told(name: str, listeners: tuple[Listener, ...]) -> Iterator[None]:
    for listener in listeners:
        listener.enter(name)
    try:
        yield
    finally:
        for listener in reversed(listeners):
            listener.exit(name)


def listening() -> bool:
    """Is anyone told of stages right now? For code that can only mark them at a cost."""
    return bool(_listeners)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every stage inside this block; the listener added last is entered last and left first."""
    global _listeners
    _listeners = (*_listeners, listener)
    try:
        yield
    finally:
        _listeners = tuple(other for other in _listeners if other is not listener)
