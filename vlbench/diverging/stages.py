"""How far off a stage is, what it may be off by, and where the first token is that is further off."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vlbench.diverging.tap import Stages
from vlbench.record.divergence import Mode, Place, Stage, StageKind
from vlbench.record.exactness import FP32_LIMITS, within

LIMITS: dict[StageKind, float] = {"segments": 0.0, "table": 1e-6, "norm": 1e-6, "product": 1e-5}
"""Of a row in float32, where a stage was given what the reference's was: another order of sums stays below."""
ADDED_UP = FP32_LIMITS["reassociated"]
"""Of free-running towers in float32, all rows together: their stages so far may have been summed in another order."""
ONE_ROW = 10.0
"""Of them one row may be off by so many times that: attention that is peaked makes more of a small difference."""
OWN_ERRORS = 3.0
"""In another dtype all rows together may be off by so many times what the reference's own are off there."""
OWN_WORST = 10.0
"""And a row by so many times what its own worst is. Attention that is written out rounds its scores, which a kernel
keeps: it is off by up to 2.3 times as much, and its worst row by 4.3; a row that is wrong is off by 50 and more."""


def kind_of(name: str) -> StageKind:
    """What kind of stage this is, by its name."""
    last = name.rpartition(".")[2]
    kinds: dict[str, StageKind] = {"rope": "table", "segments": "segments"}
    return kinds.get(last, "norm" if last in ("norm", "norm1", "norm2", "embedded") else "product")


def row_errors(found: Tensor, wanted: Tensor, kind: StageKind) -> Tensor:
    """[rows] in fp64, as `Stage` has them; infinite for what is not finite. Of two of one shape."""
    if kind == "segments":
        return (found != wanted).double()
    off = found.double() - wanted.double()
    if kind == "table":
        errors = off.abs().amax(dim=1)
    else:
        sizes = off.norm(dim=1)
        scale = wanted.double().norm(dim=1).square().mean().sqrt()
        errors = torch.where(sizes == 0, sizes, sizes / scale)
    return errors.nan_to_num(torch.inf, torch.inf)


def all_rows(errors: Tensor) -> float:
    """The root mean square of the rows' errors."""
    return float(errors.square().mean().sqrt())


@dataclass(frozen=True)
class Standard:
    """What the stages of one run are held against."""

    dtype: str
    mode: Mode
    wanted: Stages
    own: Stages | None = None
    """Errors [rows] of the reference itself in this dtype, by stage; None in float32."""
    feed: Stages | None = None
    """What a tower's stages are given; None where they are left to themselves."""

    def limits(self, name: str) -> tuple[float, float]:
        """What a row may be off by, and all rows together."""
        kind = kind_of(name)
        if kind in ("segments", "table"):
            rounded = torch.finfo(getattr(torch, self.dtype)).eps / 2  # to which cos and sin may be
            least = LIMITS[kind] and max(LIMITS[kind], rounded)
            return least, least
        row, rows = (LIMITS[kind],) * 2 if self.mode == "lock-step" else (ONE_ROW * ADDED_UP, ADDED_UP)
        if self.own is None:
            return row, rows
        own = self.own[name]
        if not own.isfinite().all():
            return row, rows
        return max(row, OWN_WORST * float(own.max())), max(rows, OWN_ERRORS * all_rows(own))

    def judge(self, name: str, found: Tensor, place: Callable[[int, int], Place]) -> Stage:
        """The stage; `place` says of which token a row is, of so many."""
        kind = kind_of(name)
        errors = row_errors(found.to(self.wanted[name].device), self.wanted[name], kind)
        (limit, rms_limit), rms = self.limits(name), all_rows(errors)
        beyond = ~(errors <= limit)
        own = None if self.own is None else self.own[name]
        parts = bool(beyond.any()) or not within(rms, rms_limit)
        above = beyond if beyond.any() else errors >= min(rms, float(errors.max()))
        return Stage(
            name=name,
            kind=kind,
            error=float(errors.max()),
            rms=rms,
            limit=limit,
            rms_limit=rms_limit,
            own=None if own is None else float(own.max()),
            own_rms=None if own is None else all_rows(own),
            rows=len(errors),
            beyond=int(beyond.sum()),
            first=place(int(above.int().argmax()), len(errors)) if parts else None,
        )
