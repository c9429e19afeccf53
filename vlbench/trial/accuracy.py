"""Is a variant right? Twice: in fp32 by its class, then in the timed dtype by the yardstick's own error there.

Only the fp32 check can see a small structural mistake (bf16 angles); only the second sees what the timed kernels do.
Both run on the timed batch and on a small batch of awkward grids (a video, empty and ragged windows, a strip), each
twice, so that caches are seen cold and warm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from vlbench.errors import UsageError
from vlbench.record.schema import Accuracy, Token

FP32_LIMITS = {"bit-exact": 0.0, "ulp": 1e-5, "reassociated": 1e-5, "result-changing": float("inf")}
OWN_ERROR_FACTOR = 1.5
AWKWARD_GRIDS = ((3, 6, 10), (1, 16, 16), (1, 2, 14), (2, 10, 6))

STRIDE = 7919
"""Between the contents of two rounds. A prime, so that they come back only after as many rounds as there are values."""

Grid = tuple[int, int, int]


class Entry(Protocol):
    """What can be fed in to something that is judged."""

    @property
    def grids(self) -> Sequence[Grid]:
        """Of the items whose tokens come out; empty where no tokens do."""

    def to(self, dtype: torch.dtype) -> Self: ...

    def output(self, way: Callable[..., Any]) -> Any:
        """What `way` makes of it."""


@dataclass(frozen=True)
class Input:
    """One call of a tower: pixels [N, patch_dim] on the device, grids [items, 3] on the host."""

    pixels: Tensor
    grid_thw: Tensor

    def to(self, dtype: torch.dtype) -> Input:
        return Input(self.pixels.to(dtype), self.grid_thw)

    def turned(self, number: int) -> Input:
        """The same grids and the same statistics with other contents: values move on by `number` strides."""
        return Input(self.pixels.flatten().roll(STRIDE * number).view_as(self.pixels), self.grid_thw)

    @property
    def grids(self) -> list[Grid]:
        return [(t, h, w) for t, h, w in self.grid_thw.tolist()]

    def output(self, way: Callable[..., Any]) -> Any:
        return way(self.pixels, self.grid_thw)


def awkward_input(patch_dim: int, device: torch.device, seed: int, merge: int = 2) -> Input:
    """Noise on grids that catch mistakes which one neat image does not; `merge` is the side of a merged cell."""
    grids = tuple((t, h * merge // 2, w * merge // 2) for t, h, w in AWKWARD_GRIDS)
    return noise_input(grids, patch_dim, device, seed)


def noise_input(grids: Sequence[Grid], patch_dim: int, device: torch.device, seed: int) -> Input:
    """Noise on these grids."""
    patches = sum(t * h * w for t, h, w in grids)
    pixels = torch.randn(patches, patch_dim, generator=torch.Generator().manual_seed(seed))
    return Input(pixels.to(device), torch.tensor(grids))


Judged = Callable[..., Any]


class Judge:
    """Compares towers, or ways of a seam, with the yardstick's fp32 outputs."""

    def __init__(
        self, inputs: Sequence[Entry], dtype: torch.dtype, golden: Judged, yardstick: Judged, merge: int = 2
    ) -> None:
        """`inputs` are in the timed dtype; `golden` is the yardstick in fp32, `yardstick` the one in `dtype`.

        `merge` is the side of the square of patches that is one token.
        """
        self.dtype = dtype
        self.merge = merge
        self.inputs = inputs
        self.exact_inputs = [entry.to(torch.float32) for entry in inputs]
        self.golden = [_run(golden, entry) for entry in self.exact_inputs]
        self.limits = [
            OWN_ERROR_FACTOR * relative_error(_run(yardstick, entry), wanted)
            for entry, wanted in zip(inputs, self.golden, strict=True)
        ]

    def check(self, exactness: str, in_fp32: Callable[[], Judged], timed: Callable[[], Judged]) -> Accuracy:
        """The verdict on one variant, built by `in_fp32` and `timed` (the same tower where fp32 is timed)."""
        limit = FP32_LIMITS[exactness]
        try:
            outputs = [_run(tower, entry) for tower in (in_fp32(),) for _ in range(2) for entry in self.exact_inputs]
            error, worst = self._furthest(outputs)
            reason = self._complaint(outputs, error, limit)
            timed_error, timed_limit = None, None
            if reason is None and self.dtype is not torch.float32:
                timed_error, timed_limit = self._timed(timed())
                if not timed_error <= timed_limit:
                    reason = f"error {timed_error:.2g} in {_name(self.dtype)} is above {timed_limit:.2g}"
        except Exception as failure:  # whatever a variant raises is its result, not ours
            return Accuracy(
                passed=False, exactness=exactness, fp32_error=None, fp32_limit=limit, reason=_one_line(failure)
            )
        return Accuracy(
            passed=reason is None,
            exactness=exactness,
            fp32_error=error,
            fp32_limit=limit,
            timed_error=timed_error,
            timed_limit=timed_limit,
            worst_token=worst,
            reason=reason,
        )

    def _furthest(self, outputs: Sequence[Tensor]) -> tuple[float, Token | None]:
        """The largest error of all outputs, and the worst token where it occurs."""
        pairs = [(output, self.golden[i % len(self.golden)], i % len(self.golden)) for i, output in enumerate(outputs)]
        errors = [relative_error(output, wanted) for output, wanted, _ in pairs]
        furthest = max(range(len(errors)), key=lambda i: (errors[i] != errors[i], errors[i]))  # NaN is the furthest
        output, wanted, number = pairs[furthest]
        grids = self.exact_inputs[number].grids
        worst = worst_token(output, wanted, grids, self.merge) if grids and errors[furthest] != 0 else None
        return errors[furthest], worst

    def _complaint(self, outputs: Sequence[Tensor], error: float, limit: float) -> str | None:
        if limit == 0:
            equal = all(torch.equal(output, self.golden[i % len(self.golden)]) for i, output in enumerate(outputs))
            return None if equal else f"not bit-exact in fp32: error {error:.2g}"
        return None if error <= limit else f"error {error:.2g} in fp32 is above {limit:.0e}"

    def _timed(self, tower: Judged) -> tuple[float, float]:
        """Error and limit in the timed dtype, on the input that comes nearest to its limit."""
        pairs = [
            (relative_error(_run(tower, entry), wanted), limit)
            for _ in range(2)
            for entry, wanted, limit in zip(self.inputs, self.golden, self.limits, strict=True)
        ]
        return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[0] <= pair[1] and pair[1] else float("inf"))


def relative_error(output: Tensor, wanted: Tensor) -> float:
    """|output - wanted| / |wanted|, in fp64. Raises ValueError for another shape."""
    if output.shape != wanted.shape:
        raise ValueError(f"the output has shape {list(output.shape)} instead of {list(wanted.shape)}")
    wanted64 = wanted.double()
    return float((output.double() - wanted64).norm() / wanted64.norm())


def worst_token(output: Tensor, wanted: Tensor, grids: Sequence[Grid], merge: int = 2) -> Token:
    """The token [N / 4, width] with the largest error, and where in the batch it is."""
    errors = (output.double() - wanted.double()).norm(dim=1)
    scale = wanted.double().norm(dim=1).square().mean().sqrt()
    index = int(errors.nan_to_num(torch.inf).argmax())
    error, place = float(errors[index] / scale), index
    for item, (t, h, w) in enumerate(grids):
        rows, columns = h // merge, w // merge
        if place < t * rows * columns:
            frame, cell = divmod(place, rows * columns)
            return Token(item=item, frame=frame, row=cell // columns, column=cell % columns, error=error)
        place -= t * rows * columns
    raise ValueError("more tokens than the grids have")


def _run(tower: Judged, entry: Entry) -> Tensor:
    own = copy.deepcopy(entry)  # whoever writes into it spoils no other
    with torch.inference_mode():
        output = own.output(tower)
    if type(output) is not Tensor:
        raise TypeError(f"the output is a {type(output).__name__}, not a plain tensor")
    return output.clone()  # a tower that hands out its own buffer cannot change what was kept


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _one_line(failure: Exception) -> str:
    if isinstance(failure, UsageError):
        return str(failure)
    lines = str(failure).strip().splitlines()
    return f"raised {type(failure).__name__}: {lines[0] if lines else 'no message'}"
