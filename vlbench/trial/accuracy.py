"""Is a variant right? Twice: in fp32 by its class, then in the timed dtype by the reference tower's own error there.

Only the fp32 check can see a small structural mistake (bf16 angles); only the second sees what the timed kernels do.
Both run on the timed batch and on small batches of awkward grids (a video, empty and ragged windows, a strip), each
twice, so that caches are seen cold and warm, and fp32 again after the timed dtype. The batches differ by what the key
of a cache may forget: frames, which side is the longer, the order of items, contents.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.output import TOKENS, OutputError, Parts, called, unpack
from vlbench.implementations.preprocessing import SEVERAL, Fed, Grid, Images
from vlbench.record.exactness import FP32_LIMITS, OWN_ERROR_FACTOR, Accuracy, Token, within
from vlbench.trial.finite import first_not_finite, is_finite
from vlbench.trial.worst import worst_in_images, worst_token

AWKWARD_CELLS = (
    ((3, 3, 5), (1, 8, 8), (1, 1, 7), (2, 5, 3)),
    ((2, 3, 5), (1, 5, 3), (1, 7, 1)),
    ((1, 7, 1), (2, 3, 5), (1, 5, 3)),
)
"""Batches: frames, and rows and columns in merged cells."""

STRIDE = 7919
"""Between the contents of two rounds. A prime, so that they come back only after as many rounds as there are values."""


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

    def to(self, dtype: torch.dtype) -> Input:
        """The same with pixels of this dtype."""
        return Input(self.pixels.to(dtype), self.grid_thw)

    def turned(self, number: int) -> Input:
        """The same grids and the same statistics with other contents: values move on by `number` strides."""
        return Input(self.pixels.flatten().roll(STRIDE * number).view_as(self.pixels), self.grid_thw)

    @property
    def grids(self) -> list[Grid]:
        """As plain numbers."""
        return [(t, h, w) for t, h, w in self.grid_thw.tolist()]

    def output(self, way: Callable[..., Any]) -> Parts:
        """The parts of what a tower makes of it. Raises OutputError."""
        return unpack(way(self.pixels, self.grid_thw))


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
        self, inputs: Sequence[Entry], dtype: torch.dtype, golden: Judged, yardstick: Judged, merge: int | None = 2
    ) -> None:
        """`inputs` are in the timed dtype; `golden` is the reference tower in fp32, `yardstick` the one in `dtype`.

        `merge` is the side of the square of patches that is one token, None for a tower of images.
        """
        self.dtype = dtype
        self.merge = merge
        self.inputs = inputs
        self.beat: Callable[[], None] = lambda: None
        """Called before each call of what is judged."""
        self.exact_inputs = [entry.to(torch.float32) for entry in inputs]
        self.golden = [_run(golden, entry) for entry in self.exact_inputs]
        timed = [_run(yardstick, entry) for entry in inputs]
        self.own = [errors(output, wanted) for output, wanted in zip(timed, self.golden, strict=True)]
        self.broken: tuple[str, Token | None] | None = None
        """Why nothing can be compared with the reference tower, and its worst token; None where it can."""
        of_golden = (golden, self.exact_inputs, self.golden, torch.float32)
        for tower, entries, outputs, its_dtype in (of_golden, (yardstick, inputs, timed, dtype)):
            number = next((each for each, output in enumerate(outputs) if not is_finite(output)), None)
            if number is not None and not self.broken:
                self.broken = self._why_broken(tower, entries[number], outputs[number], number, its_dtype)

    def check(self, exactness: str, in_fp32: Callable[[], Judged], timed: Callable[[], Judged]) -> Accuracy:
        """The verdict on one variant, built by `in_fp32` and `timed` (the same tower where fp32 is timed)."""
        limit = FP32_LIMITS[exactness]
        failed: dict[str, Any] = {"passed": False, "exactness": exactness, "fp32_error": None, "fp32_limit": limit}
        if self.broken:
            return Accuracy(**failed, reason=self.broken[0], worst_token=self.broken[1])
        try:
            exact = in_fp32()
            outputs = [self._call(exact, entry) for _ in range(2) for entry in self.exact_inputs]
            for number, output in enumerate(outputs):
                check_dtypes(output, self._wanted(number))
            part, error, worst = self._furthest(outputs)
            reason = self._complaint(outputs, error, limit)
            timed_error, timed_limit, own = None, None, None
            if reason is None and self.dtype is not torch.float32:
                timed_part, timed_error, own, timed_worst = self._timed(timed())
                timed_limit = OWN_ERROR_FACTOR * own
                # A cache whose key forgets the dtype has the other one's values by now.
                again = [self._call(exact, entry) for entry in self.exact_inputs]
                part, error, worst = self._furthest([*outputs, *again])
                reason = self._complaint([*outputs, *again], error, limit)
                if reason is None and not (within(timed_error, timed_limit) and math.isfinite(own)):
                    part, worst = timed_part, timed_worst
                    reason = f"error {timed_error:.2g} in {_name(self.dtype)} is above {timed_limit:.2g}"
        except (Exception, SystemExit) as failure:  # whatever a variant raises is its result, not ours
            return Accuracy(**failed, reason=raised_words(failure))
        is_one_of_several = len(self.golden[0]) > 1
        if reason and is_one_of_several:
            reason = f"{called(part, self.golden[0])}: {reason}"
        return Accuracy(
            passed=reason is None,
            exactness=exactness,
            fp32_error=error,
            fp32_limit=limit,
            timed_error=timed_error,
            timed_limit=timed_limit,
            own_error=own,
            part=part if is_one_of_several else None,
            worst_token=worst,
            reason=reason,
        )

    def allowed(self, exactness: str, timed: int) -> dict[str, float]:
        """The largest relative error by part in a timed round, which is fed the first `timed` inputs.

        In fp32 what the class allows, 0 for equal bits; else both outputs may be off by what they may be off from fp32.
        """
        if self.dtype is torch.float32:
            return dict.fromkeys(self.golden[0], FP32_LIMITS[exactness])
        most = {part: max(own[part] for own in self.own[:timed]) for part in self.golden[0]}
        return {part: 2 * OWN_ERROR_FACTOR * own for part, own in most.items()}

    def _furthest(self, outputs: Sequence[Parts]) -> tuple[str, float, Token | None]:
        """The part with the largest error of all outputs, that error, and the worst token where it is of the tokens."""
        found = [
            (error, part, number)
            for number, output in enumerate(outputs)
            for part, error in errors(output, self._wanted(number)).items()
        ]
        error, part, number = max(found, key=lambda one: (one[0] != one[0], one[0]))  # NaN is the furthest
        return part, error, self._worst(part, error, outputs[number], number)

    def _worst(self, part: str, error: float, output: Parts, number: int) -> Token | None:
        """The token furthest off in an output, None for a part that is not of the tokens."""
        grids = self.exact_inputs[number % len(self.golden)].grids
        if part != TOKENS or not grids or error == 0:
            return None
        if self.merge is None:
            return worst_in_images(output[part], self._wanted(number)[part], len(grids))
        return worst_token(output[part], self._wanted(number)[part], grids, self.merge)

    def _why_broken(
        self, tower: Judged, entry: Entry, output: Parts, number: int, dtype: torch.dtype
    ) -> tuple[str, Token | None]:
        part = next(name for name in output if not is_finite({name: output[name]}))
        stage = first_not_finite(lambda: _run(tower, entry))
        where = f", first in {stage}" if stage else ""
        reason = f"the reference tower itself is not finite in {_name(dtype)}{where}; choose another dtype or weights"
        return reason, self._worst(part, math.nan, output, number)

    def _complaint(self, outputs: Sequence[Parts], error: float, limit: float) -> str | None:
        if limit == 0:
            pairs = ((output, self._wanted(number)) for number, output in enumerate(outputs))
            equal = all(torch.equal(output[part], wanted[part]) for output, wanted in pairs for part in wanted)
            return None if equal else f"not bit-exact in fp32: error {error:.2g}"
        return None if within(error, limit) else f"error {error:.2g} in fp32 is above {limit:.0e}"

    def _call(self, tower: Judged, entry: Entry) -> Parts:
        self.beat()
        return _run(tower, entry)

    def _wanted(self, number: int) -> Parts:
        """What the output of this number should be: a variant is given all inputs, and then all again."""
        return self.golden[number % len(self.golden)]

    def _timed(self, tower: Judged) -> tuple[str, float, float, Token | None]:
        """Part, error, the reference's own and the worst token in the timed dtype, where it comes nearest to its limit,
        or is furthest beyond."""
        outputs = [self._call(tower, entry) for _ in range(2) for entry in self.inputs]
        found = [
            (part, error, self.own[number % len(self.own)][part], number)
            for number, output in enumerate(outputs)
            for part, error in errors(output, self._wanted(number)).items()
        ]
        part, error, own, number = max(found, key=lambda one: _share(one[1], OWN_ERROR_FACTOR * one[2]))
        return part, error, own, self._worst(part, error, outputs[number], number)


def _share(error: float, limit: float) -> float:
    """How much of its limit an error takes; infinite for NaN, and for any error where none is allowed."""
    if error == 0:
        return 0.0
    return error / limit if limit and error == error else math.inf


def errors(output: Parts, wanted: Parts) -> dict[str, float]:
    """The relative error of each part by itself. Raises OutputError for other parts, or another shape."""
    for one, other, problem in ((wanted, output, "lacks the part {!r}"), (output, wanted, "has a part {!r} too many")):
        if strange := [part for part in one if part not in other]:
            raise OutputError(problem.format(strange[0]))
    for part, tensor in wanted.items():
        if (shape := output[part].shape) != tensor.shape:
            raise OutputError(f"has shape {list(shape)} instead of {list(tensor.shape)}", called(part, wanted))
    return {part: relative_error(output[part], tensor) for part, tensor in wanted.items()}


def check_dtypes(output: Parts, wanted: Parts) -> None:
    """Raises OutputError for a part of another dtype: what comes after a tower would compute otherwise."""
    for part, tensor in wanted.items():
        if part in output and (dtype := output[part].dtype) != tensor.dtype:
            raise OutputError(f"is of {_name(dtype)} instead of {_name(tensor.dtype)}", called(part, wanted))


def beyond(allowed: Mapping[str, float], output: Parts, wanted: Parts) -> tuple[str, float] | None:
    """What of a timed output is further off than it may be, in words, and how far; None where nothing is."""
    try:
        check_dtypes(output, wanted)
        found = errors(output, wanted)
    except OutputError as error:
        return error.subject, math.inf
    wrong = {part: error for part, error in found.items() if not error <= allowed[part]}
    if not wrong:
        return None
    part = max(wrong, key=lambda name: _share(wrong[name], allowed[name]))
    return called(part, wanted), wrong[part]


def relative_error(output: Tensor, wanted: Tensor) -> float:
    """|output - wanted| / |wanted|, in fp64, of two of one shape. Whole numbers are right or infinitely wrong."""
    common = torch.promote_types(output.dtype, wanted.dtype)
    if torch.equal(output.to(common), wanted.to(common)):
        return 0.0
    if not wanted.is_floating_point():
        return math.inf
    wanted64 = wanted.double()
    return float((output.double() - wanted64).norm() / wanted64.norm())


def _run(tower: Judged, entry: Entry) -> Parts:
    own = copy.deepcopy(entry)  # whoever writes into it spoils no other
    with torch.inference_mode():
        return kept(own.output(tower))


def kept(output: Parts) -> Parts:
    """A copy, which a tower that hands out its own buffers cannot change."""
    return {part: tensor.clone() for part, tensor in output.items()}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def raised_words(failure: BaseException) -> str:
    """What calling or reading a tower ended with, in one sentence."""
    return str(failure) if isinstance(failure, UsageError | OutputError) else f"raised {in_one_line(failure)}"
