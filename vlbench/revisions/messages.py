"""What the two processes of a lock-step pair are told, and what they say. All of it travels as JSON, a line each."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from vlbench.process.messages import Message, Refused
from vlbench.trial.job import Checked, Job, Prepared, Stages, Struck, VariantJob


class Order(Message):
    """What one of the two is to do: the first line it reads."""

    job: Job
    """With one variant, the tower of this side, which is also its model."""
    leads: bool
    """Does it leave its weights and outputs for the other, or take the other's?"""
    exchange: Path
    """A folder that both know."""
    repository: Path | None
    """What lies here is neither revision: a side that imports from it is refused."""


class Turn(Message):
    """The token: whoever gets it works, says how it went, and waits for the next."""

    does: Literal["warm-up", "reading", "stages", "call", "judge", "again"]
    """`call` is the call of a reading that is not timed, where it has a turn of its own. `judge` and `again` are for
    the reference of a trial whose towers are apart: to judge what `variant` has left, or to be called on what another
    was fed in a round."""
    number: int = 0
    """Which round it is: both are fed the same in it."""
    secret: int | None = None
    """Decides the contents of this turn alone; None: those of the job's secret."""
    variant: VariantJob | None = None
    """To judge; None: itself."""


class Ready(Message):
    """All is built and checked."""

    event: Literal["ready"] = "ready"
    allowed: dict[str, float]
    """By part: largest relative error of a timed output to the other's; 0 asks for equal bits."""


class Warm(Message):
    """The warm-up is over."""

    event: Literal["warm"] = "warm"


class Reading(Message):
    """One timed call; its output lies in the exchange."""

    event: Literal["reading"] = "reading"
    seconds: float
    host_seconds: float | None = None
    hidden: bool = False
    """CUDA: did much more time pass than the events saw?"""
    throttled: tuple[str, ...] = ()
    """Why the clock of the GPU is held back: asked by who has a context on it anyway."""


Said = Prepared | Checked | Ready | Warm | Reading | Struck | Stages | Refused
SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="event")])


def output_of(exchange: Path, variant: str) -> Path:
    """Where a side leaves the output of its latest reading."""
    return exchange / f"{quote(variant, safe='')}.output"
