"""Towers held against a reference, stage by stage: left to themselves, and each stage given what its twin was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vlbench.diverging.stages import Standard, kind_of, row_errors
from vlbench.diverging.tap import Stages, tap
from vlbench.errors import IncomparableError
from vlbench.implementations.preprocessing import Grid
from vlbench.record.divergence import Divergence, Place, Run, Stage
from vlbench.trial.accuracy import Input, raised_words
from vlbench.trial.difference import dtype_name
from vlbench.trial.finite import is_finite

Build = Callable[[bool], nn.Module]
"""The tower in float32 (True) on the values of the dtype, or in the dtype."""


@dataclass(frozen=True)
class Fed:
    """What towers are fed, and how its tokens lie."""

    entry: Input
    """In the dtype."""
    merge: int
    window: int | None
    """Side of an attention window in merged cells."""
    step: Callable[[str], None] = lambda what: None
    """Told before each forward."""

    @property
    def grids(self) -> tuple[Grid, ...]:
        """As plain numbers."""
        return tuple(self.entry.grids)

    @property
    def dtype(self) -> torch.dtype:
        """That the pixels are in."""
        return self.entry.pixels.dtype

    def place(self, row: int, rows: int) -> Place:
        """The token of a row, of so many: patches, or tokens."""
        patches = sum(t * h * w for t, h, w in self.grids)
        token = row // self.merge**2 if rows == patches else row
        for item, (t, h, w) in enumerate(self.grids):
            down, across = h // self.merge, w // self.merge
            if token < t * down * across:
                frame, cell = divmod(token, down * across)
                at, column = divmod(cell, across)
                side = self.window
                window = None if side is None else at // side * -(-across // side) + column // side
                return Place(item=item, frame=frame, row=at, column=column, window=window)
            token -= t * down * across
        raise ValueError("more rows than the grids have")


def stages_of(tower: nn.Module, fed: Fed, dtype: torch.dtype, feed: Stages | None = None) -> dict[str, Tensor]:
    """All stages of one call in this dtype."""
    found: dict[str, Tensor] = {}
    tap(tower, fed.entry.to(dtype), fed.merge**2, found.__setitem__, feed)
    return found


def standards(name: str, build: Build, fed: Fed, dumped: Mapping[str, Stages] | None = None) -> Iterator[Standard]:
    """What the runs in float32 and in the dtype are held against.

    Of a dump, which cannot be given anything, the reference's stages are given what the dump has: `dumped` by dtype,
    and of its dtypes alone. Raises IncomparableError where the reference itself is not finite.
    """
    exact, wide = build(True), torch.float32
    fed.step(f"{name} in float32")
    free = _finite(stages_of(exact, fed, wide), name, wide)
    if dumped is None or "float32" in dumped:
        yield Standard("float32", "free-running", free)
        feed = dumped["float32"] if dumped else free
        yield Standard("float32", "lock-step", stages_of(exact, fed, wide, feed) if dumped else free, None, feed)
    dtype = dtype_name(fed.dtype)
    if fed.dtype is wide or (dumped is not None and dtype not in dumped):
        return
    fed.step(f"{name} in {dtype}")
    rough = build(False)
    own = _finite(stages_of(rough, fed, fed.dtype), name, fed.dtype)
    yield Standard(dtype, "free-running", free, _errors(own, free))
    feed = dumped[dtype] if dumped else own
    fed.step(f"{name} in float32, given what {dtype} has")
    wanted = stages_of(exact, fed, wide, feed)
    own = stages_of(rough, fed, fed.dtype, feed) if dumped else own
    yield Standard(dtype, "lock-step", wanted, _errors(own, wanted), feed)


def _errors(found: Stages, wanted: Stages) -> dict[str, Tensor]:
    return {name: row_errors(found[name], wanted[name], kind_of(name)) for name in wanted}


def _finite(stages: dict[str, Tensor], name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    if broken := next((stage for stage, rows in stages.items() if not is_finite({"": rows})), None):
        raise IncomparableError(
            f"{name}, the reference, is not finite in {dtype_name(dtype)}, first in {broken}; "
            "choose another dtype or other weights"
        )
    return stages


@dataclass
class Candidate:
    """What is held against the reference: a tower, or the dump of one."""

    name: str
    build: Build | None = None
    dumped: Mapping[str, Stages] | None = None
    _built: dict[bool, nn.Module] = field(default_factory=dict)

    def run(self, standard: Standard, fed: Fed, tell: Callable[[str, Tensor], None]) -> None:
        """Tell of its stages in the run that the standard is for."""
        if self.dumped is not None:
            for name, rows in self.dumped[standard.dtype].items():
                tell(name, rows)
            return
        assert self.build is not None
        exact = standard.dtype == "float32"
        fed.step(f"{self.name} in {standard.dtype}, {standard.mode}")
        if exact not in self._built:
            self._built = {exact: self.build(exact)}
        dtype = torch.float32 if exact else fed.dtype
        tap(self._built[exact], fed.entry.to(dtype), fed.merge**2, tell, standard.feed)


class _Hearing:
    """What one run of a candidate tells."""

    def __init__(self, standard: Standard, reference: str, fed: Fed) -> None:
        self.standard, self.reference, self.fed = standard, reference, fed
        self.found: dict[str, Stage] = {}
        self.strange: list[str] = []

    def tell(self, name: str, rows: Tensor) -> None:
        """Of a stage."""
        wanted = self.standard.wanted.get(name)
        if wanted is None:
            self.strange.append(f"{name} ({self.reference} has none)")
        elif rows.shape != wanted.shape:
            self.strange.append(f"{name} ({list(rows.shape)} instead of {list(wanted.shape)})")
        else:
            self.found[name] = self.standard.judge(name, rows, self.fed.place)

    @property
    def lacking(self) -> list[str]:
        """Stages of the reference that it has not told of."""
        heard = {*self.found, *(words.partition(" (")[0] for words in self.strange)}
        return [f"{name} (missing)" for name in self.standard.wanted if name not in heard]

    @property
    def run(self) -> Run:
        """The run, in the order of the reference."""
        stages = tuple(self.found[name] for name in self.standard.wanted if name in self.found)
        return Run(dtype=self.standard.dtype, mode=self.standard.mode, stages=stages)


def hold(candidate: Candidate, reference: str, against: Sequence[Standard], fed: Fed) -> Divergence:
    """The candidate against the reference, in every run."""
    runs, unmatched, failed = [], list[str](), ""
    for standard in against:
        hearing = _Hearing(standard, reference, fed)
        try:
            candidate.run(standard, fed, hearing.tell)
        except Exception as failure:  # whatever a tower raises is its result, not ours
            failed = failed or f"in {standard.dtype}, {standard.mode}: {raised_words(failure)}"
        unmatched += hearing.strange if failed else [*hearing.strange, *hearing.lacking]
        runs.append(hearing.run)
    return Divergence(
        tower=candidate.name,
        reference=reference,
        device=fed.entry.pixels.device.type,
        grids=fed.grids,
        runs=tuple(runs),
        unmatched=tuple(dict.fromkeys(unmatched)),
        failed=failed,
    )
