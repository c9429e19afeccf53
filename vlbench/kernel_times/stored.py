"""The file of a board: measured rows, rates of its memory, and how far look-ups were off for rows held out."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vlbench.record.base import Amount, Count, Record, check_once, fitting
from vlbench.untrusted.files import Kind, parse_json, read_bytes, unpacked
from vlbench.untrusted.limits import Limit

BOARD = Kind("give a board's name, or a file of its form", broken="{path}: not a board ({why}); {remedy}", ours=True)
GZIP = b"\x1f\x8b"

Positive = Annotated[float, Field(gt=0)]
Size = Annotated[int, Field(ge=1)]
What = Literal["product", "attention"]
SIZES: dict[What, tuple[str, str, str]] = {"product": ("n", "k", "m"), "attention": ("heads", "batch", "length")}
"""What the two of a pair and the steps of a table are."""


class Source(Record):
    """Whose measurements they are."""

    package: str
    version: str
    licence: str
    """As SPDX has it."""
    copyright: str
    taken: str
    """The day on which this file was made of it, as 2026-11-29."""
    changes: str
    """What was left out or changed."""


class Memory(Record):
    """Rates of a board's memory and bus."""

    bytes_per_s: Positive
    """Peak of its memory."""
    factor: Annotated[float, Field(gt=0, le=1)]
    """The share of it that kernels reach."""
    constant_us: Amount
    """What an operation takes beside its bytes."""
    l2_bytes: Count
    pcie_bytes_per_s: Positive
    """One direction."""


class TimeTable(Record):
    """Times of one kernel by one engine."""

    what: What
    engine: str
    """With its version."""
    kernel: str
    """As the source calls it."""
    dtype: str
    """As torch calls it, such as "bfloat16"."""
    head_dim: Count = 0
    """Of attention; 0 of products."""
    steps: tuple[Size, ...]
    """m of products [m, k] x [k, n], lengths of attention."""
    pairs: tuple[tuple[Size, Size], ...]
    """(n, k) of products, (heads, batch) of attention."""
    us: tuple[tuple[Positive | None, ...], ...]
    """A row for each pair, with a time for each step; null where none was measured."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.steps or any(before >= after for before, after in pairwise(self.steps)):
            raise ValueError(f"the steps of {self.engine} must be one or more, and grow")
        check_once("pair", self.pairs)
        if len(self.us) != len(self.pairs) or any(len(row) != len(self.steps) for row in self.us):
            raise ValueError(f"us of {self.engine} must have a row for each pair, and in it a time for each step")
        if (self.what == "attention") != (self.head_dim > 0):
            raise ValueError(f"head_dim of {self.engine} is {self.head_dim}: attention has one, and products have none")
        return self


class HoldOut(Record):
    """How far look-ups were off for rows that were taken out."""

    what: What
    dtype: str
    head_dim: Count = 0
    hidden: tuple[str, ...]
    """The sizes of which the row's own was taken out of the table, such as ("m",)."""
    rows: Count
    """How many were held out."""
    median: Amount
    """Of the relative error."""
    p90: Amount
    low: float
    """The 10th percentile of log(measured / looked up), and the 90th."""
    high: float
    within: Annotated[float, Field(ge=0, le=1)]
    """Share of the rows that lie in the band of their answer."""


class Spread(Record):
    """What a second engine's rows differ by from the first's."""

    what: What
    dtype: str
    head_dim: Count = 0
    engines: tuple[str, str]
    rows: Count
    """That both have."""
    median: Amount
    """Of the relative difference."""
    p90: Amount


class StoredBoard(Record):
    """A board."""

    schema_version: Literal[1] = 1
    board: str
    """The name that it is asked for by."""
    gpu: str
    profile: str
    """What the counting device answers for in its place, such as "sm_90"."""
    source: Source
    memory: Memory
    tables: tuple[TimeTable, ...]
    """Of what several engines measured, the first that is listed leads."""
    errors: tuple[HoldOut, ...] = ()
    spreads: tuple[Spread, ...] = ()


def read_board(path: Path) -> StoredBoard:
    """The board in `path`, JSON or packed by gzip. Raises UsageError, which names file, field and remedy."""
    data = read_bytes(path, BOARD)
    data = unpacked(data, str(path), Limit.DOCUMENT.most) if data.startswith(GZIP) else data
    return fitting(StoredBoard, parse_json(data, str(path), BOARD), path, BOARD.remedy)
