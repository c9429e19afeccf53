"""Towers in the judged process, called from the one that has what they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, product
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor, load, save  # as they are before any tower is imported

from vlbench.errors import UsageError
from vlbench.implementations.output import Parts, VisionOutput, packed, unpack
from vlbench.implementations.preprocessing import SEVERAL, Fed
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Refused
from vlbench.process.scratch import Scratch
from vlbench.record.work import Work
from vlbench.trial.judged import Answer, Ask, Build, Call, Cast, Start

SAID: TypeAdapter[Answer | Refused] = TypeAdapter(Annotated[Answer | Refused, Field(discriminator="event")])


def take_output(file: Path, device: torch.device | None = None) -> Parts | None:
    """The output that another process has left in a file, which is then here alone; None for anything else."""
    if not file.is_file():  # to read a pipe may never end
        return None
    try:
        parts = unpack(packed(load(file, weights_only=True, map_location=device)))
        file.unlink()
        return {name: part.clone() for name, part in parts.items()}
    except Exception:  # whoever wrote it may have written anything
        return None


class Remote:
    """A judged process. Use it as a context: it ends there. After an end of its own it is started again."""

    def __init__(self, start: Callable[[Path], Start], timeout: float) -> None:
        """`start` says what it is for, given the file through which inputs and outputs go."""
        self._folder = Scratch()
        self.exchange = Path(self._folder.name) / "exchange"
        self._start, self._timeout = start(self.exchange), timeout
        self._child: Child[Answer | Refused] | None = None
        self._is_ready = False
        self.ended = ""
        """How the process ended, if it did so by itself."""
        self.failed = ""
        """What the last call that gave no output ended with."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def build(self, variant: str = "", *, exact: bool = True) -> tuple[RemoteTower, Answer]:
        """Build a tower there. Raises UsageError for one that cannot be built, or a process that ended."""
        if self._child is None:
            self._begin()
        answer = self.ask(Build(variant=variant, exact=exact))
        self._built += 1
        return RemoteTower(self, self._built), answer

    def ask(self, what: Build | Call | Cast) -> Answer:
        """Raises UsageError for what a tower raised, and for a process that refuses or has ended."""
        try:
            if self._child is None:
                raise UsageError(self.ended)
            if not self._is_ready:
                self._child.hear()
                self._is_ready = True
            self._child.tell(Ask(to=what))
            answer = self._child.hear()
        except ChildError as error:
            raise self.lost(error.reason) from None
        assert isinstance(answer, Answer)  # a refusal is raised
        if answer.failed:
            self.failed = answer.failed
            raise UsageError(answer.failed)
        return answer

    def lost(self, reason: str) -> UsageError:
        """End the process, which did what none should; the error to be raised."""
        self.ended = self.failed = reason
        self._end()
        return UsageError(reason)

    def hand(self, *inputs: Tensor) -> None:
        """Put inputs into the exchange, whose folder the process may have removed."""
        self.exchange.parent.mkdir(0o700, parents=True, exist_ok=True)
        save(inputs, self.exchange)

    def _begin(self) -> None:
        self._child = Child("vlbench.trial.judged", SAID, self._timeout, is_timed=False)
        self._child.tell(self._start)
        self._is_ready, self._built, self.ended = False, 0, ""

    def _end(self) -> None:
        if self._child is not None:
            self._child.__exit__()
        self._child = None


class RemoteTower:
    """A tower in the judged process, called like any other."""

    def __init__(self, remote: Remote, number: int) -> None:
        self._remote, self._number = remote, number
        self._modes = cycle(product((False, True), repeat=2))
        """How calls take turns: CI set or not, no_grad or inference mode."""

    def __call__(self, pixels: Tensor, grid_thw: Tensor) -> VisionOutput:
        """Its output there, read back. Raises UsageError as `Remote.ask` does."""
        ci, no_grad = next(self._modes)
        self._remote.hand(pixels, grid_thw)
        self._remote.ask(Call(tower=self._number, no_grad=no_grad, ci=ci))
        parts = take_output(self._remote.exchange, pixels.device)
        if parts is None:
            raise self._remote.lost("it left no output where one was expected")
        return packed(parts)

    def work(self, fed: Fed, dtype: str, *, is_warm: bool = False) -> Work:
        """What it does on a call of several small items, of which it had another before; nothing where that raises."""
        grids = fed.grids_of(SEVERAL)
        pixels = torch.randn(fed.pixels_shape(grids), dtype=getattr(torch, dtype))
        try:
            for _ in range(1 if is_warm else 2):
                self._remote.hand(pixels, torch.tensor(grids))
                answer = self._remote.ask(Call(tower=self._number, no_grad=False, ci=False, for_work=True))
        except UsageError:
            return ()
        return answer.work

    def to(self, dtype: str) -> None:
        """Cast it there. Raises UsageError."""
        self._remote.ask(Cast(tower=self._number, dtype=dtype))
