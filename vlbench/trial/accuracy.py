"""Is a variant right? Twice: in fp32 by its class, then in the timed dtype by the reference tower's own error there.

Only the fp32 check can see a small structural mistake (bf16 angles); only the second sees what the timed kernels do.
Both run on the timed batch and on small batches of awkward grids (a video, empty and ragged windows, a strip), each
twice, so that caches are seen cold and warm, and fp32 again after the timed dtype. The batches differ by what the key
of a cache may forget: frames, which side is the longer, the order of items, contents.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.optimized import Exactness
from vlbench.implementations.output import TOKENS, OutputError, Parts, called, unpack
from vlbench.implementations.preprocessing import SEVERAL, Fed, Grid, Images
from vlbench.record.exactness import FP32_LIMITS, OWN_ERROR_FACTOR, Accuracy, Token, share, timed_limit_of, within
from vlbench.record.precision import turn_tf32_off
from vlbench.trial.difference import PutBack, check_dtypes, dtype_name, errors
from vlbench.trial.finite import first_not_finite, is_finite
from vlbench.trial.store import Here, Store, kept, poison
from vlbench.trial.worst import worst_in_images, worst_token
from vlbench.workload.seam_case import LeavingOut

AWKWARD_CELLS = (
    ((3, 3, 5), (1, 8, 8), (1, 1, 7), (2, 5, 3)),
    ((2, 3, 5), (1, 5, 3), (1, 7, 1)),
    ((1, 7, 1), (2, 3, 5), (1, 5, 3)),
)
"""Batches: frames, and rows and columns in merged cells."""


class Entry(Protocol):
    """What can be fed in to something that is judged."""

    @property
    def grids(self) -> Sequence[Grid]:
        """Of the items whose tokens come out; empty where no tokens do."""

    def to(self, dtype: torch.dtype) -> Self:
        """The same with floating values of this dtype."""

    def output(self, way: Callable[..., Any]) -> Parts:
        """What `way` makes of it, by its parts. Raises OutputError."""


@dataclass(frozen=True)
class Input:
    """One call of a tower: pixels [N, patch_dim] on the device and grids [items, 3] on the host.

    Of a tower of images: pixels [B, 3, H, W], each grid 1, H, W.
    """

    pixels: Tensor
    grid_thw: Tensor
    plan: Any = None
    """Handed in, where that is what is measured."""
    plan_seconds: float | None = None
    """That making it took."""

    def to(self, dtype: torch.dtype) -> Input:
        """The same with pixels of this dtype."""
        return Input(self.pixels.to(dtype), self.grid_thw)

    def turned(self, number: int, secret: int) -> Input:
        """The same grids with other contents: values move on, and each patch is brighter or darker by up to a tenth.

        Who does not know `secret` cannot know what a number gives before it is fed in.
        """
        draw = torch.Generator().manual_seed(hash((secret, number)) % 2**63)
        onward = int(torch.randint(self.pixels.numel(), (), generator=draw))
        brightness = 0.9 + 0.2 * torch.rand(len(self.pixels), generator=draw)
        moved = self.pixels.flatten().roll(onward).view(len(self.pixels), -1)
        return Input((moved * brightness.to(moved)[:, None]).view_as(self.pixels), self.grid_thw)

    @property
    def grids(self) -> list[Grid]:
        """As plain numbers."""
        return [(t, h, w) for t, h, w in self.grid_thw.tolist()]

    def output(self, way: Callable[..., Any]) -> Parts:
        """The parts of what a tower makes of it. Raises OutputError."""
        handed: dict[str, Any] = {} if self.plan is None else {"plan": self.plan}
        return unpack(way(self.pixels, self.grid_thw, **handed))


def awkward_inputs(fed: Fed, device: torch.device, seed: int) -> list[Input]:
    """Noise on grids that catch mistakes which one neat image does not, or on several images."""
    draw = torch.Generator().manual_seed(seed)
    batches = (SEVERAL, SEVERAL[:2]) if isinstance(fed, Images) else AWKWARD_CELLS
    return [
        Input(torch.randn(fed.pixels_shape(grids), generator=draw).to(device), torch.tensor(grids))
        for grids in map(fed.grids_of, batches)
    ]


Judged = Callable[..., Any]


class Judge:
    """Compares towers, or ways of a seam, with the reference tower's fp32 outputs, each part of an output by itself."""

    def __init__(
        self,
        inputs: Sequence[Entry],
        dtype: torch.dtype,
        golden: Judged,
        reference: Judged,
        merge: int | None = 2,
        store: Store | None = None,
        leaving_out: LeavingOut | None = None,
    ) -> None:
        """`inputs` are in the timed dtype; `golden` is the reference tower in fp32, `reference` the one in `dtype`.

        `merge` is the side of the square of patches that is one token, None for a tower of images. Outputs of the
        reference tower lie in `store` while something is called; None where nothing that is judged runs here.
        `leaving_out` is for a seam one of whose ways leaves tokens out.
        """
        self.dtype = dtype
        self.store = store or Here()
        self.leaving_out = leaving_out
        self.merge = merge
        self.inputs = inputs
        self.beat: Callable[[], None] = lambda: None
        """Called before each call of what is judged."""
        self.exact_inputs = [entry.to(torch.float32) for entry in inputs]
        exact = [run(golden, entry) for entry in self.exact_inputs]
        timed = [run(reference, entry) for entry in inputs]
        self.parts = list(exact[0])
        """The names of an output's parts."""
        self.own = [errors(output, wanted) for output, wanted in zip(timed, exact, strict=True)]
        self.broken: tuple[str, Token | None] | None = None
        """Why nothing can be compared with the reference tower, and its worst token; None where it can."""
        for tower, entries, outputs, its_dtype in (
            (golden, self.exact_inputs, exact, torch.float32),
            (reference, inputs, timed, dtype),
        ):
            number = next((each for each, output in enumerate(outputs) if not is_finite(output)), None)
            if number is not None and not self.broken:
                part = next(name for name in self.parts if not is_finite({name: outputs[number][name]}))
                worst = self._worst(part, math.nan, outputs[number], exact[number], number)
                self.broken = _why_broken(tower, entries[number], its_dtype), worst
        for output in timed:
            poison(output)
        self._golden = [self.store.put(output) for output in exact]

    def check(self, exactness: str, in_fp32: Callable[[], Judged], timed: Callable[[], Judged]) -> Accuracy:
        """The verdict on one variant, built by `in_fp32` and `timed` (the same tower where fp32 is timed)."""
        limit, put_back = self._limit(exactness), self.put_back(exactness)
        failed: dict[str, Any] = {"passed": False, "exactness": exactness, "fp32_error": None}
        failed["fp32_limit"] = FP32_LIMITS[exactness]
        if self.broken:
            return Accuracy(**failed, reason=self.broken[0], worst_token=self.broken[1])
        try:
            exact = in_fp32()
            outputs = [self._call(exact, entry) for _ in range(2) for entry in self.exact_inputs]
            part, error, worst, reason = self._exactly(outputs, limit, put_back)
            timed_error, timed_limit, own = None, None, None
            if reason is None and self.dtype is not torch.float32:
                timed_part, timed_error, own, timed_worst = self._timed(timed(), put_back)
                timed_limit = timed_limit_of(exactness, own)
                allowed = OWN_ERROR_FACTOR * own if put_back else timed_limit
                # A cache whose key forgets the dtype has the other one's values by now.
                outputs += [self._call(exact, entry) for entry in self.exact_inputs]
                part, error, worst, reason = self._exactly(outputs, limit, put_back)
                if reason is None and not (within(timed_error, allowed) and math.isfinite(own)):
                    part, worst = timed_part, timed_worst
                    reason = f"error {timed_error:.2g} in {dtype_name(self.dtype)} is above {allowed:.2g}"
            lost = self._lost(outputs) if put_back and reason is None else {}
        except (Exception, SystemExit) as failure:  # whatever a variant raises is its result, not ours
            return Accuracy(**failed, reason=raised_words(failure))
        is_one_of_several = len(self.parts) > 1
        if reason and is_one_of_several:
            reason = f"{called(part, dict.fromkeys(self.parts))}: {reason}"
        return Accuracy(
            passed=reason is None,
            exactness=exactness,
            fp32_error=error,
            fp32_limit=FP32_LIMITS[exactness],
            timed_error=timed_error,
            timed_limit=timed_limit,
            own_error=own,
            part=part if is_one_of_several else None,
            worst_token=worst,
            reason=reason,
            **lost,
        )

    def allowed(self, exactness: str, timed: int) -> dict[str, float]:
        """The largest relative error by part in a timed round, which is fed the first `timed` inputs.

        In fp32 what the class allows, 0 for equal bits; else both outputs may be off by what they may be off from fp32.
        """
        if self.dtype is torch.float32:
            return dict.fromkeys(self.parts, self._limit(exactness))
        most = {part: max(own[part] for own in self.own[:timed]) for part in self.parts}
        if self.put_back(exactness):
            return {part: 2 * OWN_ERROR_FACTOR * own for part, own in most.items()}
        return {part: 2 * timed_limit_of(exactness, own) for part, own in most.items()}

    def put_back(self, exactness: str) -> PutBack | None:
        """How what is left out is put in before it is compared; None for a class that may leave out nothing."""
        return self.leaving_out.put_back if self.leaving_out and exactness == Exactness.RESULT_CHANGING else None

    def _limit(self, exactness: str) -> float:
        """What a class allows in fp32; of what stays where tokens are left out, nothing."""
        return 0.0 if self.put_back(exactness) else FP32_LIMITS[exactness]

    def _lost(self, outputs: Sequence[Parts]) -> dict[str, float]:
        """The smallest share that stays, and the largest error of what stands in for the rest."""
        assert self.leaving_out
        with self._beside(outputs) as pairs:
            found = [self.leaving_out.loss(output, whole) for output, whole in pairs]
        retained, cosine_errors = zip(*found, strict=True)
        return {"retained": min(retained), "cosine_error": max(cosine_errors)}

    @contextmanager
    def _beside(self, outputs: Sequence[Parts], put_back: PutBack | None = None) -> Iterator[list[tuple[Parts, Parts]]]:
        """Outputs of all inputs, and of all again, each with the reference tower's, which are put back at the end."""
        golden = [take() for take in self._golden]
        pairs = zip(outputs, cycle(golden), strict=False)
        try:
            yield [(put_back(output, whole) if put_back else output, whole) for output, whole in pairs]
        finally:
            self._golden = [self.store.put(output) for output in golden]

    def _exactly(
        self, outputs: Sequence[Parts], limit: float, put_back: PutBack | None
    ) -> tuple[str, float, Token | None, str | None]:
        """In fp32: the part with the largest error of all outputs, that error, its worst token, and the complaint."""
        with self._beside(outputs, put_back) as pairs:
            for output, wanted in pairs:
                check_dtypes(output, wanted)
            found = [
                (error, part, number)
                for number, (output, wanted) in enumerate(pairs)
                for part, error in errors(output, wanted).items()
            ]
            error, part, number = max(found, key=lambda one: (one[0] != one[0], one[0]))  # NaN is the furthest
            worst = self._worst(part, error, *pairs[number], number)
            equal = limit or all(torch.equal(output[each], wanted[each]) for output, wanted in pairs for each in wanted)
        if limit == 0:
            return part, error, worst, None if equal else f"not bit-exact in fp32: error {error:.2g}"
        return part, error, worst, None if within(error, limit) else f"error {error:.2g} in fp32 is above {limit:.0e}"

    def _worst(self, part: str, error: float, output: Parts, wanted: Parts, number: int) -> Token | None:
        """The token furthest off in an output, None for a part that is not of the tokens."""
        grids = self.exact_inputs[number % len(self.own)].grids
        if part != TOKENS or not grids or error == 0:
            return None
        if self.merge is None:
            return worst_in_images(output[part], wanted[part], len(grids))
        return worst_token(output[part], wanted[part], grids, self.merge)

    def _call(self, tower: Judged, entry: Entry) -> Parts:
        self.beat()
        return run(tower, entry)

    def _timed(self, tower: Judged, put_back: PutBack | None) -> tuple[str, float, float, Token | None]:
        """Part, error, the reference's own and the worst token in the timed dtype, where it comes nearest to its limit,
        or is furthest beyond."""
        outputs = [self._call(tower, entry) for _ in range(2) for entry in self.inputs]
        with self._beside(outputs, put_back) as pairs:
            found = [
                (part, error, self.own[number % len(self.own)][part], number)
                for number, (output, wanted) in enumerate(pairs)
                for part, error in errors(output, wanted).items()
            ]
            part, error, own, number = max(found, key=lambda one: share(one[1], OWN_ERROR_FACTOR * one[2]))
            return part, error, own, self._worst(part, error, *pairs[number], number)


def _why_broken(tower: Judged, entry: Entry, dtype: torch.dtype) -> str:
    stage = first_not_finite(lambda: run(tower, entry))
    where = f", first in {stage}" if stage else ""
    return f"the reference tower itself is not finite in {dtype_name(dtype)}{where}; choose another dtype or weights"


def run(tower: Judged, entry: Entry) -> Parts:
    """A copy of what a tower makes of a copy of the input, which it may write into; its own memory is poisoned."""
    turn_tf32_off()  # whoever was imported, built or called before may have turned it on
    with torch.inference_mode():
        output = copy.deepcopy(entry).output(tower)
        copied = kept(output)
        poison(output)  # nor does freed memory hold what is compared with
        return copied


def raised_words(failure: BaseException) -> str:
    """What calling or reading a tower ended with, in one sentence."""
    return str(failure) if isinstance(failure, UsageError | OutputError) else f"raised {in_one_line(failure)}"
