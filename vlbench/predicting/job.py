"""What a predicting process is to do, and what it says while it does it. Both travel as JSON."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.counting.job import CountJob, Finished, Planned, Point
from vlbench.predicting.predicted import Predicted
from vlbench.process.messages import Message, Refused
from vlbench.record.sequence import ForwardName


class PredictJob(Message):
    """Towers x points, counted once, and predicted on each board."""

    count: CountJob
    boards: tuple[str, ...]
    """Names, or files."""
    forward: ForwardName = "warm"
    trace: str | None = None
    """A file for the predicted timelines."""


class Foretold(Message):
    """One row on one board; `point` is the index of its point."""

    event: Literal["foretold"] = "foretold"
    point: int
    row: Predicted
    fed: Point
    """The point with the grids that this tower was fed."""


Event = Planned | Foretold | Refused | Finished
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
