"""The judged process: it builds towers, calls them as it is told, and leaves what they return in a file.

It never holds what that is compared with: whoever asks has it, in another process, so there is nothing to copy.
"""

import os
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from vlbench.counting_device.steps import steps_taken
from vlbench.errors import UsageError
from vlbench.implementations.optimized import FlagError
from vlbench.implementations.output import unpack
from vlbench.implementations.preprocessing import as_fields
from vlbench.implementations.weights import CheckpointError
from vlbench.process.ci import ci
from vlbench.process.messages import Message
from vlbench.process.parent import Parent, serve
from vlbench.record.precision import turn_tf32_off
from vlbench.record.work import Work
from vlbench.towers.models import SEED
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower, mismatch
from vlbench.trial.accuracy import raised_words
from vlbench.trial.job import Job
from vlbench.trial.settle import settle
from vlbench.trial.sketch import sketch_weights
from vlbench.trial.tower_set import TowerSet


class Start(Message):
    """The first line: what the process is for."""

    job: Job | None = None
    """Variants of this job are built, on its weights."""
    tower: str = ""
    """Else this one, with weights of its own or with those in `handed`."""
    handed: Path | None = None
    leave: Path | None = None
    """Where to leave its weights for another process."""
    threads: int
    exchange: Path
    """The file in which inputs come, and outputs go."""


class Build(Message):
    """Build a tower; those of another variant go."""

    does: Literal["build"] = "build"
    variant: str
    """"" for the one tower there is."""
    exact: bool
    """Of a variant: in fp32?"""


class Call(Message):
    """Call a tower on what is in the exchange."""

    does: Literal["call"] = "call"
    tower: int
    """Which was built, from 1 in that order."""
    no_grad: bool
    """In no_grad, and not in inference mode?"""
    ci: bool
    """Is the variable CI set?"""
    for_work: bool = False
    """Is its work wanted, and no output?"""


class Cast(Message):
    """Cast a tower."""

    does: Literal["cast"] = "cast"
    tower: int
    dtype: str


class Ask(Message):
    """A line after the first."""

    to: Build | Call | Cast = Field(discriminator="does")


class Answer(Message):
    """How that went."""

    event: Literal["answer"] = "answer"
    failed: str = ""
    """What it raised, in one sentence."""
    fed: dict[str, Any] | None = None
    """Of a tower with weights of its own: what it is fed."""
    names: str = ""
    """Of its weights: a digest of names and shapes."""
    weights: str = ""
    """A sketch of their values."""
    work: Work = ()
    """Of a call that was made for it."""


class Judged:
    """What the process has built so far."""

    def __init__(self, start: Start) -> None:
        """Raises UsageError, CheckpointError or FlagError for towers that cannot be had."""
        self.start = start
        self.built: dict[int, nn.Module] = {}
        self.number = 0
        self.of = ""
        self.set = TowerSet(start.job) if start.job else None

    def answer(self, ask: Ask) -> Answer:
        """Do what is asked; what a tower raises is in the answer."""
        try:
            if isinstance(ask.to, Build):
                return self._build(ask.to)
            turn_tf32_off()  # whoever was imported, built or called before may have turned it on
            tower = self.built[ask.to.tower]
            if isinstance(ask.to, Cast):
                tower.to(getattr(torch, ask.to.dtype))
                return Answer()
            pixels, grid_thw = torch.load(self.start.exchange, weights_only=True)
            if ask.to.for_work:
                with steps_taken() as steps:
                    unpack(tower(pixels, grid_thw))
                return Answer(work=tuple(steps))
            with ci(ask.to.ci), torch.no_grad() if ask.to.no_grad else torch.inference_mode():
                parts = unpack(tower(pixels, grid_thw))
            torch.save({name: part.clone() for name, part in parts.items()}, self.start.exchange)
        except Exception as failure:  # whatever a tower raises is its result, not ours
            return Answer(failed=raised_words(failure))
        return Answer()

    def _build(self, ask: Build) -> Answer:
        if ask.variant != self.of:
            self.built.clear()
        self.of, self.number = ask.variant, self.number + 1
        if self.set is None:
            return self._build_own()
        (variant,) = (each for each in self.set.job.variants if each.name == ask.variant)
        self.built[self.number] = self.set.variant(variant, exact=ask.exact)
        return Answer()

    def _build_own(self) -> Answer:
        tower = resolve_tower(self.start.tower)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            module = _with_weights(tower, self.start.handed)
        weights = {key: each for key, each in module.state_dict().items() if isinstance(each, torch.Tensor)}
        if self.start.leave:
            torch.save(weights, self.start.leave)
        self.built[self.number] = tower.adapted(module)
        names, values = sketch_weights(weights)
        return Answer(fed=as_fields(tower.fed), names=names, weights=values)


def _with_weights(tower: Tower, handed: Path | None) -> nn.Module:
    """The module in fp32 on the CPU, with the weights in this file where there is one. Raises UsageError."""
    device = torch.device("cpu")
    if handed is None:
        return tower.module(device, torch.float32)
    given = torch.load(handed, weights_only=True, mmap=True)
    if tower.load:
        return tower.module(device, torch.float32, given)
    module = tower.module(device, torch.float32)
    if reason := mismatch(module, given):
        raise UsageError(f"it cannot take BASE's weights: {reason}")
    module.load_state_dict(given)
    return module


def _work(parent: Parent) -> None:
    os.environ.pop("CI", None)  # before anyone's module is imported
    start = next(parent.hear(Start))
    settle(start.threads)
    judged = Judged(start)
    parent.say(Answer())
    for ask in parent.hear(Ask):
        parent.say(judged.answer(ask))


if __name__ == "__main__":
    serve(_work, (UsageError, CheckpointError, FlagError))
