"""Where two towers part: each stage that was compared, how far off it was, and what was allowed."""

from typing import Literal

from vlbench.record.base import Count, Error, Grid, Record
from vlbench.record.exactness import share

StageKind = Literal["table", "segments", "norm", "product"]
"""Of cos and sin; who attends with whom; a norm, or another step of few roundings; a product, and what follows it."""
OF_A_BLOCK = ("norm1", "rope", "segments", "qkv", "attended", "attention", "norm2", "mlp", "sum")
"""Stages of a block, in order."""
Mode = Literal["lock-step", "free-running"]
"""Each stage given what the reference's stage was given; or the towers left to themselves, so that errors add up."""


class Place(Record):
    """A token of the input."""

    item: Count
    """Which image or video, from 0."""
    frame: Count
    """Which temporal slice of it, from 0."""
    row: Count
    """Of merged cells, from 0."""
    column: Count
    window: Count | None = None
    """Which attention window of its frame, row by row from 0; None for a tower without windows."""

    @property
    def words(self) -> str:
        """In words."""
        window = "" if self.window is None else f", window {self.window}"
        return f"item {self.item}, frame {self.frame}, row {self.row}, column {self.column}{window}"


class Stage(Record):
    """One stage of two towers, compared row by row. A row's error is L2, relative to the root mean square of all rows;
    of cos and sin it is the largest absolute difference, of segments 1 where they are others."""

    name: str
    kind: StageKind
    error: Error
    """Of the row that is furthest off."""
    rms: Error
    """Over all rows."""
    limit: Error
    """That a row may be off by."""
    rms_limit: Error
    """That all rows together may be off by."""
    own: Error | None = None
    """The reference's own error in this dtype, of its worst row; None in float32."""
    own_rms: Error | None = None
    """Over all rows."""
    rows: Count
    """How many were compared."""
    beyond: Count
    """Of them those that are above the limit."""
    first: Place | None
    """The token of the first of these rows; None where the stage does not part."""

    @property
    def parts(self) -> bool:
        """Is it further off than it may be?"""
        return self.first is not None

    @property
    def share(self) -> float:
        """How much of what is allowed its error takes, at most."""
        return max(share(self.error, self.limit), share(self.rms, self.rms_limit))


class Run(Record):
    """All stages of one run in one dtype, in the order in which they end."""

    dtype: str
    mode: Mode
    stages: tuple[Stage, ...]

    @property
    def first(self) -> Stage | None:
        """The first stage that parts; None where none does."""
        return next((stage for stage in self.stages if stage.parts), None)


class Divergence(Record):
    """One tower, or the dump of one, held against a reference."""

    tower: str
    reference: str
    device: str
    grids: tuple[Grid, ...]
    """That both were fed."""
    runs: tuple[Run, ...]
    unmatched: tuple[str, ...] = ()
    """Stages that one of the two lacks, or has in another shape, in words."""
    failed: str = ""
    """Why it gave no result, in one sentence."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """In which they were compared."""
        return tuple(dict.fromkeys(run.dtype for run in self.runs))

    def first(self, dtype: str) -> Stage | None:
        """The first stage that parts in a dtype: by itself, or where none does so, with what came before it."""
        found = {run.mode: run.first for run in self.runs if run.dtype == dtype}
        return found.get("lock-step") or found.get("free-running")

    def unseen(self, dtype: str) -> tuple[str, tuple[str, ...]]:
        """The last stage that agrees before the first that parts, "" where there is none; and those of that block
        between which neither tower has: the fault may lie in any of them."""
        stage = self.first(dtype)
        told = [each.name for run in self.runs if stage and run.first is stage for each in run.stages]
        before = told[: told.index(stage.name)] if stage else []
        block, _, part = stage.name.partition(".") if stage else ("", "", "")
        known = {*told, *(words.partition(" (")[0] for words in self.unmatched)}
        parts = OF_A_BLOCK[: OF_A_BLOCK.index(part)] if part in OF_A_BLOCK else ()
        names = [f"{block}.{each}" for each in parts]
        last = max((names.index(each) for each in before if each in names), default=-1)
        lacking = (each for each in names[last + 1 :] if each not in known)
        return (before[-1] if before else ""), tuple(lacking)

    def not_decidable(self, dtype: str) -> Stage | None:
        """The first stage that parts in float32 where nothing parts in `dtype`: what that cannot show."""
        return None if self.first(dtype) or dtype == "float32" else self.first("float32")

    @property
    def parts(self) -> bool:
        """Do they part anywhere?"""
        return any(run.first for run in self.runs)
