"""What a count of a package's vision towers says: one file for each release, written by `vlbench atlas --out`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vlbench.errors import IncomparableError, UsageError
from vlbench.record.base import Checksummed, Count, Grid, Record, fitting, grid_text
from vlbench.record.files import write_whole
from vlbench.record.site import Event, Where
from vlbench.untrusted.files import Kind, read_json

ATLAS = Kind(
    "give a file that `vlbench atlas --out` wrote",
    absent="{path}: no such file; write one with `vlbench atlas --out {path}`",
    binary="{path}: not JSON; {remedy}",
    missing=IncomparableError,
    ours=True,
)
LISTED = Kind("see the list that vlbench ships for how it is written", broken="{path}: not TOML ({why}); {remedy}")
"""A list of towers of one's own."""
IMAGE = "-"
"""Where the grid is of a tower that takes none."""


class AtlasLine(Record):
    """A line of code that makes the host wait."""

    event: Event
    where: Where
    times: Count
    callers: tuple[Where, ...] = ()
    """The lines that called it, outwards."""
    flags: tuple[str, ...] = ()
    """Flags of ours whose idea removes it, each by itself; none where no link is known."""
    advice: str = ""


class AtlasCount(Record):
    """A call: the second on its grid, but for the plans, which are the first's."""

    waits: Count
    uploads: Count
    implicit_uploads: Count
    operations: Count
    attention_calls: Count
    plans: Count
    """Attention plans that cuDNN builds in the first call."""
    lines: tuple[AtlasLine, ...]
    """Each that waits, the most frequent first."""


class AtlasWay(Record):
    """One way to call a tower, and what it asks for; without a count there is a reason."""

    grid: Literal["device", "host", "-"]
    """Where the integers of its input lie: its grids, sizes or positions."""
    prepared: bool = False
    """Is what follows from the grids made before and handed in?"""
    count: AtlasCount | None = None
    failed: str = ""

    @property
    def name(self) -> str:
        """In words."""
        words = "images" if self.grid == IMAGE else f"grid on the {self.grid}"
        return f"{words}, prepared" if self.prepared else words


class AtlasRow(Record):
    """A tower of the package."""

    name: str
    """Its folder among the package's models."""
    tower: str
    """module:Class."""
    config: str
    released: str = ""
    """The checkpoint whose sizes it has; "": the defaults of its config."""
    depth: Count | None = None
    """Blocks in its longest list of them; None where it has none, or was not built."""
    attention: str = ""
    """How it attends, as the package calls it."""
    form: str = ""
    """What it was fed, argument by argument."""
    offered: bool = False
    """Does the package offer to prepare what follows from the grids?"""
    ways: tuple[AtlasWay, ...] = ()
    failed: str = ""
    """Why there is no way; "" where there is one."""

    @property
    def counted(self) -> tuple[AtlasWay, ...]:
        """The ways that could be counted."""
        return tuple(way for way in self.ways if way.count)


class Atlas(Checksummed):
    """The towers of one release of a package."""

    schema_version: Literal[1] = 1
    vlbench: str
    package: str
    version: str
    torch: str
    profile: str
    cudnn: str
    dtype: str
    grids: tuple[Grid, ...]
    """One picture or video each, all in one call."""
    rows: tuple[AtlasRow, ...]
    aliases: Annotated[dict[str, str], Field(default_factory=dict)]
    """Other names of towers that are listed once."""
    left_out: Annotated[dict[str, str], Field(default_factory=dict)]
    """Towers of the package that are not counted, with the reason of each."""
    seconds: float = 0.0
    """That counting took."""

    @property
    def title(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version}"

    @property
    def fed(self) -> str:
        """The grids in words."""
        return " + ".join(map(grid_text, self.grids))

    @property
    def complete(self) -> bool:
        """Was every listed tower counted in one way at least?"""
        return bool(self.rows) and all(row.counted for row in self.rows)

    @property
    def conditions(self) -> tuple[object, ...]:
        """What has to be equal for two to compare."""
        return self.torch, self.profile, self.cudnn, self.dtype, self.grids

    def keep(self, path: Path) -> None:
        """Write it."""
        write_whole(path, self.model_dump_json(indent=1) + "\n")


def read_atlas(path: Path) -> Atlas:
    """Raises UsageError for a file that is none or was changed by hand, IncomparableError where there is none."""
    found = fitting(Atlas, read_json(path, ATLAS), path, ATLAS.remedy)
    if not found.intact:
        raise UsageError(f"{path}: its checksum does not fit; take the change back, or count again")
    return found
