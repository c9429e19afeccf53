"""The file of a board: measured rows, rates of its memory, and how far look-ups were off for rows held out."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from vlbench.errors import UsageError
from vlbench.record.base import Checksummed, Record, check_once, fitting, printable_line
from vlbench.untrusted.files import Kind, parse_json, read_bytes, unpacked
from vlbench.untrusted.limits import Limit

BOARD = Kind("give a board's name, or a file of its form", broken="{path}: not a board ({why}); {remedy}", ours=True)
LEAST_SHARE = 0.1
"""Of what the board's shortest kernel takes: no other time of it is below that."""
GZIP = b"\x1f\x8b"


# Bounds are far beyond any GPU, and such that nothing that is computed of these figures overflows.
Microseconds = Annotated[float, Field(ge=1e-6, le=1e9)]
Rate = Annotated[float, Field(ge=1e6, le=1e18)]
"""Bytes per second."""
Relative = Annotated[float, Field(ge=0, le=1e6)]
"""An error or a difference, of the whole."""
Log = Annotated[float, Field(ge=-10, le=10)]
"""Of a ratio."""
Factor = Annotated[float, Field(ge=1e-3, le=1e4)]
Size = Annotated[int, Field(ge=1, le=1 << 40)]
Number = Annotated[int, Field(ge=0, le=1 << 50)]
Line = Annotated[str, Field(max_length=300), AfterValidator(printable_line)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Letters, digits, dots, dashes and underscores."""
What = Literal["product", "attention"]
SIZES: dict[What, tuple[str, str, str]] = {"product": ("n", "k", "m"), "attention": ("heads", "batch", "length")}
"""What the two of a pair and the steps of a table are."""


class Source(Record):
    """Whose measurements they are."""

    package: Line
    version: Line
    licence: Line
    """As SPDX has it."""
    copyright: Line
    taken: Line
    """The day on which this file was made of it, as 2026-11-29."""
    changes: Line
    """What was left out or changed."""


class Memory(Record):
    """Rates of a board's memory and bus."""

    bytes_per_s: Rate
    """Peak of its memory."""
    factor: Annotated[float, Field(ge=0.01, le=1)]
    """The share of it that kernels reach."""
    constant_us: Annotated[float, Field(ge=0, le=1e6)]
    """What an operation takes beside its bytes."""
    l2_bytes: Number
    pcie_bytes_per_s: Rate
    """One direction."""


class TimeTable(Record):
    """Times of one kernel by one engine."""

    what: What
    engine: Line
    """With its version."""
    kernel: Line
    """As the source calls it."""
    dtype: Line
    """As torch calls it, such as "bfloat16"."""
    head_dim: Number = 0
    """Of attention; 0 of products."""
    steps: tuple[Size, ...]
    """m of products [m, k] x [k, n], lengths of attention."""
    pairs: tuple[tuple[Size, Size], ...]
    """(n, k) of products, (heads, batch) of attention."""
    us: tuple[tuple[Microseconds | None, ...], ...]
    """A row for each pair, with a time for each step; null where none was measured."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.steps or any(before >= after for before, after in pairwise(self.steps)):
            raise ValueError(f"the steps of {self.engine} must be one or more, and grow")
        if not self.pairs:
            raise ValueError(f"the pairs of {self.engine} must be one or more")
        check_once("pair", self.pairs)
        if len(self.us) != len(self.pairs) or any(len(row) != len(self.steps) for row in self.us):
            raise ValueError(f"us of {self.engine} must have a row for each pair, and in it a time for each step")
        if (self.what == "attention") != (self.head_dim > 0):
            raise ValueError(f"head_dim of {self.engine} is {self.head_dim}: attention has one, and products have none")
        return self


class HoldOut(Record):
    """How far look-ups were off for rows that were taken out."""

    what: What
    dtype: Line
    head_dim: Number = 0
    hidden: tuple[Line, ...]
    """The sizes of which the row's own was taken out of the table, such as ("m",)."""
    rows: Number
    """How many were held out."""
    median: Relative
    """Of the relative error."""
    p90: Relative
    low: Log
    """The 10th percentile of log(measured / looked up), and the 90th."""
    high: Log
    within: Annotated[float, Field(ge=0, le=1)]
    """Share of the rows that lie in the band of their answer."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}: low must not be above high")
        return self


class Spread(Record):
    """What a second engine's rows differ by from the first's."""

    what: What
    dtype: Line
    head_dim: Number = 0
    engines: tuple[Line, Line]
    rows: Number
    """That both have."""
    median: Relative
    """Of the relative difference."""
    p90: Relative


class StoredBoard(Checksummed):
    """A board."""

    schema_version: Literal[1] = 1
    board: Name
    """The name that it is asked for by."""
    gpu: Line
    profile: Line
    """What the counting device answers for in its place, such as "sm_90"."""
    source: Source
    memory: Memory
    tables: Annotated[tuple[TimeTable, ...], Field(min_length=1)]
    """One or more. Of what several engines measured, the first that is listed leads."""
    errors: tuple[HoldOut, ...] = ()
    spreads: tuple[Spread, ...] = ()
    host: tuple[Factor, Factor] | None = None
    """Of a measured board: times the fast host of captures, and times the slow one, that its host took."""
    sms: Size | None = None
    """Its multiprocessors, among which flash attention shares out its blocks of queries; None of what is no GPU."""


def read_board(path: Path) -> StoredBoard:
    """The board in `path`, JSON or packed by gzip. Raises UsageError, which names file, field and remedy.

    A checksum finds careless edits alone, so times below that of the board's own shortest kernel are refused as well.
    """
    data = read_bytes(path, BOARD)
    data = unpacked(data, str(path), Limit.DOCUMENT.most) if data.startswith(GZIP) else data
    found = fitting(StoredBoard, parse_json(data, str(path), BOARD), path, BOARD.remedy)
    if not found.intact:
        raise UsageError(f"{path}: checksum: it does not fit the rest: edited or damaged; measure the board again")
    least = LEAST_SHARE * found.memory.constant_us
    for number, table in enumerate(found.tables):
        if (shortest := min((us for row in table.us for us in row if us is not None), default=least)) < least:
            told = f"tables.{number}.us: {shortest:g} is far below memory.constant_us, what its shortest kernel takes"
            raise UsageError(f"{path}: {told}, {found.memory.constant_us:g}; measure the board again")
    return found
