"""Is a variant right? What its class of exactness allows, how far off it was, and whether both agree."""

import math
from typing import Self

from pydantic import Field, model_validator

from vlbench.record.base import Count, Error, Record

FP32_LIMITS = {"bit-exact": 0.0, "ulp": 1e-5, "reassociated": 1e-5, "result-changing": math.inf}
"""Largest relative L2 error to the reference tower in float32, by class; 0 asks for equal bits."""
OWN_ERROR_FACTOR = 1.5
"""In another dtype a variant may be off by so many times what the reference tower itself is off there."""


def timed_limit_of(exactness: str, own: float) -> float:
    """What a class allows in another dtype than fp32, where the reference tower is off by `own`."""
    return math.inf if math.isinf(FP32_LIMITS[exactness]) else OWN_ERROR_FACTOR * own


def within(error: float | None, limit: float | None) -> bool:
    """Is an error one that `limit` allows? None, NaN and infinity never are."""
    return error is not None and limit is not None and math.isfinite(error) and error <= limit


def share(error: float, limit: float) -> float:
    """How much of its limit an error takes; infinite for NaN, and for any error where none is allowed."""
    if error == 0:
        return 0.0
    return error / limit if limit and error == error else math.inf


class Token(Record):
    """One output token, by where it comes from."""

    item: Count
    """Which image or video of the batch, from 0; of a tower of images, which image."""
    frame: Count
    """Which temporal slice of it, from 0."""
    row: Count
    """Row of the merged cell; 0 for a tower of images."""
    column: Count
    """Column of the merged cell; of a tower of images, which token of the image."""
    error: Error
    """L2 error of this token, relative to the root mean square of all tokens."""


class Accuracy(Record):
    """How far a variant is from the reference tower, and whether that is allowed."""

    passed: bool
    exactness: str
    """The class that the variant claims."""
    fp32_error: Error | None
    """Relative L2 error in fp32; None where it could not run."""
    fp32_limit: Error
    """What its class allows in fp32; 0 asks for equal bits."""
    timed_error: Error | None = None
    """Relative L2 error in the timed dtype, if not fp32."""
    timed_limit: Error | None = None
    """What is allowed there: OWN_ERROR_FACTOR x the reference tower's own; infinite for what changes results."""
    own_error: Error | None = None
    """The reference tower's own error there, of the same part on the same input. Files before schema 3 lack it."""
    part: str | None = None
    """Which part of the output is the furthest off, where it has several."""
    worst_token: Token | None = None
    """The output token furthest off: in the dtype in which it failed, else in fp32."""
    retained: float | None = Field(default=None, gt=0, le=1)
    """Of a way that leaves tokens out: the share that stays. `fp32_error` is then that of what stays."""
    cosine_error: Error | None = None
    """Of such a way: mean of 1 - cosine between a token that is left out and the one that stands in for it."""
    reason: str | None = None
    """Why it failed, in one sentence."""

    @model_validator(mode="after")
    def _agrees_with_its_figures(self) -> Self:
        limit = FP32_LIMITS.get(self.exactness)
        if limit is None:
            raise ValueError(f"exactness is {self.exactness!r}, and the classes are {', '.join(FP32_LIMITS)}")
        if self.fp32_limit != limit:
            raise ValueError(f"fp32_limit is {self.fp32_limit:g}, and {self.exactness} allows {limit:g}")
        own = self.own_error
        if own is not None and self.timed_limit != timed_limit_of(self.exactness, own) and math.isfinite(own):
            raise ValueError(f"timed_limit is {self.timed_limit}, and the reference's own error {own:g} gives another")
        if self.passed and not self.is_within:
            raise ValueError("passed is true, and an error is above its limit")
        if (self.retained is None) is not (self.cosine_error is None):
            raise ValueError("retained and cosine_error belong together, and one of them is missing")
        if self.passed is (self.reason is not None):
            raise ValueError("passed must be true without a reason, and false with one")
        return self

    @property
    def is_within(self) -> bool:
        """Is every error that was found within its limit? One that was only caught later, in its timed rounds, is."""
        if not within(self.fp32_error, self.fp32_limit):
            return False
        if self.timed_limit is None:
            return self.timed_error is None
        bounded = math.isfinite(self.timed_limit) or math.isinf(self.fp32_limit)
        return within(self.timed_error, self.timed_limit) and bounded
