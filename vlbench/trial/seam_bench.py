"""The bench of one seam alone: every way of it, checked against the naive one, at one size.

A call takes microseconds, so that one reading is many calls in a row, over inputs that take turns: as many that the
fastest way's reading lasts READING, unless the slowest's would last beyond LONGEST. They are the same for all ways of a
cell, and every time that is reported is that of one call. On CUDA a reading ends with its last call, so that calls
overlap as they do in a server, but for ways that wait for the device by themselves.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import Any

import torch
from torch import Tensor

from vlbench.implementations.optimized.transfer import pin
from vlbench.implementations.output import Parts, held, unpack
from vlbench.towers.models import find_model
from vlbench.trial.accuracy import Judge
from vlbench.trial.clock import clock_for
from vlbench.trial.counts import count
from vlbench.trial.job import Checked, Job, VariantJob
from vlbench.trial.store import Store
from vlbench.trial.subject import Inputs, Subject, slowed
from vlbench.workload.scenario import SeamPoint
from vlbench.workload.seam_case import CONTENTS, SeamInputs, Setting, Way
from vlbench.workload.seams import find_seam_case

READING = 1e-3
LONGEST = 50e-3
PROBES = 5


@dataclass(frozen=True)
class Arguments:
    """One call of a way."""

    tensors: tuple[Tensor, ...]
    grids: tuple[()] = ()
    """None: its output is no row of tokens."""

    def to(self, dtype: torch.dtype) -> Arguments:
        """The same with floating values of this dtype."""
        return Arguments(tuple(x.to(dtype) if x.is_floating_point() else x for x in self.tensors))

    def __deepcopy__(self, memo: object) -> Arguments:
        """The same, in memory of its own, pinned where it was."""
        return Arguments(tuple(pin(x.clone()) if x.is_pinned() else x.clone() for x in self.tensors))

    def output(self, way: Callable[..., Any]) -> Parts:
        """What `way` makes of them: one result, or several, each a part."""
        output = way(*self.tensors)
        if type(output) is tuple:
            return held({f"result {number}": part for number, part in enumerate(output)})
        return unpack(output)


@dataclass(frozen=True)
class Reading:
    """The calls of one reading: so many, with arguments that take turns."""

    contents: tuple[Arguments, ...]
    calls: int

    def fresh(self) -> tuple[Arguments, ...]:
        """Arguments for each call, so that none finds what another one wrote or kept."""
        return tuple(copy.deepcopy(each) for each in islice(cycle(self.contents), self.calls))


class SeamBench:
    """All ways of one seam at one size."""

    grids: tuple[tuple[int, int, int], ...] = ()
    fed = weights_digest = ""
    """Both are drawn from the seed."""

    def __init__(self, job: Job, store: Store) -> None:
        assert isinstance(job.point, SeamPoint)
        case = find_seam_case(job.point.seam)
        self.job = job
        self.dtype: torch.dtype = getattr(torch, job.dtype)
        draw = torch.Generator().manual_seed(job.seed)
        setting = Setting(find_model(job.model), self.dtype, torch.device(job.device), draw)
        self.made: SeamInputs = case.make(job.point.size, setting)
        self.description = case.title
        self.arguments = tuple(map(Arguments, self.made.arguments))
        naive = partial(self.made.way, frozenset())
        exact, timed = naive(torch.float32), naive(self.dtype)
        leaving_out = self.made.leaving_out
        self.judge = Judge(self.arguments, self.dtype, exact, timed, store=store, leaving_out=leaving_out)
        self.probed: list[float] = []
        """Seconds of one call, of each way that passed."""
        self.calls = 1
        """Calls of one reading."""

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """Its accuracy, and something to call many times in a row if it passed."""
        make = partial(self.made.way, frozenset(variant.flags or ()))
        accuracy = self.judge.check(variant.exactness, lambda: make(torch.float32), lambda: make(self.dtype))
        if not accuracy.passed:
            return Checked(variant=variant.name, accuracy=accuracy), None
        way, clock = make(self.dtype), clock_for(self.job.device)
        once = copy.deepcopy(self.arguments[0])
        with torch.inference_mode():
            first, *later = [clock(partial(once.output, way)).seconds for _ in range(PROBES + 1)]
        self.probed.append(median(later))
        self.calls = self._calls_of_a_reading()
        counts = count(partial(once.output, way))
        run = slowed(partial(_calls, way), variant)
        subject = Subject(run, put_back=self.judge.put_back(variant.exactness), warm_seconds=self.probed[-1])
        return Checked(variant=variant.name, accuracy=accuracy, counts=counts, first_seconds=first), subject

    def another(self, variant: VariantJob) -> Subject:
        """A further instance of a way that passed, called once."""
        way = self.made.way(frozenset(variant.flags or ()), self.dtype)
        with torch.inference_mode():
            copy.deepcopy(self.arguments[0]).output(way)
        return Subject(slowed(partial(_calls, way), variant))

    def _calls_of_a_reading(self) -> int:
        if "behind" in self.job.states:
            return 1  # the queue drains once, for whoever waits first
        return max(1, min(math.ceil(READING / min(self.probed)), math.floor(LONGEST / max(self.probed))))

    @property
    def inputs(self) -> Inputs:
        """Each input is all contents, beginning with another one."""
        orders = (self.arguments[first:] + self.arguments[:first] for first in range(CONTENTS))
        return Inputs([Reading(order, self.calls) for order in orders], calls=self.calls, fresh=Reading.fresh)

    def allowed(self, exactness: str) -> dict[str, float]:
        """Largest relative error of each part to the naive way's in one round; 0: equal bits."""
        return self.judge.allowed(exactness, timed=len(self.arguments))


def _calls(way: Way, entry: Sequence[Arguments]) -> Parts:
    """Call once for each of `entry`; the output of the last call."""
    *first, last = entry
    for each in first:
        way(*each.tensors)
    return last.output(way)
