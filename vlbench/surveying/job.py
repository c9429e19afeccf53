"""What an atlas process is to count, and what it says. Both travel as JSON."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.process.messages import Message, Refused
from vlbench.record.atlas import AtlasRow
from vlbench.record.base import Grid
from vlbench.record.schema import Dtype
from vlbench.surveying.listed import Listed


class AtlasJob(Message):
    """Towers of a package, one after another."""

    package: str
    towers: tuple[Listed, ...]
    grids: tuple[Grid, ...]
    profile: str
    cudnn: str
    dtype: Dtype
    folder: str = ""
    """Where the package lies; "": as it is installed."""


class Opened(Message):
    """The package is there."""

    event: Literal["opened"] = "opened"
    version: str
    torch: str


class RowCounted(Message):
    """One tower is done."""

    event: Literal["row"] = "row"
    row: AtlasRow


class AtlasFinished(Message):
    """All are."""

    event: Literal["finished"] = "finished"


Event = Opened | RowCounted | AtlasFinished | Refused
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
