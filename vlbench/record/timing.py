"""Times of one variant in one trial, by round, what it asks for in one of them, and how busy the machine was."""

import math
from statistics import median
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from vlbench.record.base import Amount, Count, Record, share_of

Seconds = Annotated[float, Field(gt=0)]
State = Literal["warm", "cold", "churn", "behind"]
PlanMade = Literal["inside", "device", "host"]
"""Where all that follows from the grids is made: in the forward, or before it and handed in, either all of it on the
device or with the lengths of segments on the host."""


def handed_in(name: str, plan: PlanMade, *, making: bool = False) -> str:
    """What the row is called in which the tower of the row `name` has its plan handed in, or in which that is made."""
    return f"{name} plan={plan}{MAKING if making else ''}"


MAKING = ": making it"
"""Behind the name of a row with its plan handed in: the row in which that is made."""


class Counts(Record):
    """What one warm forward asks of torch."""

    aten_operations: Count = Field(  # schema 1 had the shorter name
        validation_alias=AliasChoices("aten_operations", "operations")
    )
    """aten operations that compute or copy; views and bare allocations not counted."""
    attention_calls: Count
    """Calls of scaled_dot_product_attention."""


class Timing(Record):
    """One variant in one state of the caches, in the rounds of one trial."""

    seconds: tuple[Seconds, ...] = Field(min_length=1)
    """Time of one call, one entry per round; of the reference tower the median over its instances."""
    calls: tuple[tuple[Seconds, ...], ...] = ()
    """Of the reference tower: each instance's call of each round. In older files one instance was called several times,
    and these are its calls as they were made.
    """
    host_seconds: tuple[Seconds, ...] = ()
    """CUDA: time until the call gave the host back, one entry per round."""
    plan_seconds: tuple[Seconds, ...] = ()
    """Where the plan is handed in: time of making it before the call, one entry per round; in `seconds` it is not."""
    queue_seconds: Seconds | None = None
    """Behind queued work: how long that takes. None in other states, and in files that do not have it yet."""
    first_kernel_seconds: Amount | None = None
    """Behind queued work: from its end to the first kernel of the call, in a profiled call; None if not measured."""
    look_ups: tuple[Count, Count] | None = None
    """Hits and misses of its caches; None without caches, and in files before schema 3."""
    hit_rate: float | None = Field(default=None, ge=0, le=1)
    """Share of the look-ups that hit."""

    @model_validator(mode="after")
    def _agrees_with_its_samples(self) -> Self:
        if len(self.calls) not in (0, len(self.seconds)):
            raise ValueError("the calls are of another number of rounds than the times")
        for shown, calls in zip(self.seconds, self.calls, strict=False):
            if not calls or not math.isclose(shown, median(calls), rel_tol=1e-9):
                raise ValueError(f"seconds holds {shown:g}, which is not the median of the calls of its round")
        if len(self.host_seconds) not in (0, len(self.seconds)):
            raise ValueError("host_seconds are of another number of rounds than the times")
        if len(self.plan_seconds) not in (0, len(self.seconds)):
            raise ValueError("plan_seconds are of another number of rounds than the times")
        if self.look_ups and self.hit_rate != share_of(*self.look_ups):
            raise ValueError(f"hit_rate is {self.hit_rate}, and the look-ups give {share_of(*self.look_ups)}")
        return self

    @property
    def every_call(self) -> tuple[tuple[Seconds, ...], ...]:
        """The calls of each round."""
        return self.calls or tuple((seconds,) for seconds in self.seconds)


def _as_several(value: object) -> object:
    """A number of an older file as one of several; what JSON has as a list is the tuple it stands for."""
    return tuple(value) if isinstance(value, list) else (value,) if isinstance(value, int | float) else value


StageTimes = Annotated[tuple[Amount, ...], BeforeValidator(_as_several)]


class Load(Record):
    """How busy the machine was while the rounds of a trial were timed. None: this system does not tell."""

    cores: int = Field(gt=0)
    load: float | None = Field(ge=0)
    """The load average of a minute, in which our own threads are."""
    stolen: float | None = Field(ge=0, le=1)
    """Share of the time that the hypervisor gave to others."""
    switches: float = Field(ge=0)
    """A second: how often the measuring process was taken off its core."""
