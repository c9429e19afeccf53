"""What a rank is told to do and what it says."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.process.messages import Message, Refused
from vlbench.record.exactness import FP32_LIMITS, within

LIMIT = FP32_LIMITS["reassociated"]
"""Other shapes of products may add up in another order."""


class RankJob(Message):
    """One batch through `EncoderDP`, in float32 and with random weights."""

    tower: str
    scenario: str
    point: str | None = None
    seed: int = 0
    device: Literal["cpu", "cuda"]
    ranks: int
    rank: int = 0
    store: str = ""
    """A file that the ranks meet in; "": as torchrun says in the environment."""
    timeout: float = 60.0
    """Seconds that a rank waits for the others."""


class RankReport(Message):
    """What came of it."""

    event: Literal["report"] = "report"
    tower: str
    scenario: str
    point: str
    backend: str
    ranks: int
    grids: tuple[tuple[int, int, int], ...]
    shares: tuple[tuple[int, ...], ...]
    """By rank: its items."""
    balance: float
    """Arithmetic of the busiest rank over an equal part of all."""
    received_bytes: int
    """By each rank, in the one gather."""
    equals_shares: bool
    """Is it to the bit what one process gives, share by share?"""
    error: float
    """Relative L2 error to one process and the whole batch at once, of the part of the output that is furthest off."""

    @property
    def passed(self) -> bool:
        """Is it what one process gives?"""
        return self.equals_shares and within(self.error, LIMIT)


class Joined(Message):
    """The rank has met the others."""

    event: Literal["joined"] = "joined"
    rank: int


class Failed(Message):
    """The ranks did not come together: the sentence of one of them."""

    event: Literal["failed"] = "failed"
    message: str


class Done(Message):
    """Its last word."""

    event: Literal["done"] = "done"


RankEvent = Joined | RankReport | Failed | Done | Refused
EVENTS: TypeAdapter[RankEvent] = TypeAdapter(Annotated[RankEvent, Field(discriminator="event")])
