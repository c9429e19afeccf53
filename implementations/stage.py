"""Markers for the stages of a forward: `with stage("rope"): ...`. They cost nothing until someone listens.

The forward names its stages here and knows nothing of NVTX, clocks or counters: those are listeners, added from outside
with `listen`. Without one, `stage` returns a shared object that does nothing (about 0.1 microseconds a stage).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Protocol


class Listener(Protocol):
    """Told of every stage, in order, on the thread that runs the forward."""

    def enter(self, name: str) -> None: ...

    def exit(self, name: str) -> None: ...


class _Quiet:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Heard:
    __slots__ = ("_listeners", "_name")

    def __init__(self, name: str, listeners: tuple[Listener, ...]) -> None:
        self._name = name
        self._listeners = listeners

    def __enter__(self) -> None:
        for listener in self._listeners:
            listener.enter(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in reversed(self._listeners):
            listener.exit(self._name)


_QUIET = _Quiet()
_listeners: tuple[Listener, ...] = ()


def stage(name: str) -> AbstractContextManager[None]:
    """Mark the enclosed code as one stage of the forward."""
    if not _listeners:
        return _QUIET
    return _Heard(name, _listeners)


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
