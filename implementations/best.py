"""The sets that the preset `best` turns on, by kind of device and size of the tower, each with its certificate.

They stand in optimized/best.toml. Whoever chooses flags reads it, and whoever says what `best` is worth; it is read
without torch.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FILE = Path(__file__).parent / "optimized" / "best.toml"
Size = Literal["tiny", "full"]
NARROWEST = 512
"""Width from which on a tower is of full size: that of any that is released. Tiny ones are for machines without a
GPU."""


@dataclass(frozen=True)
class Certificate:
    """By what a set was chosen for towers of one size."""

    by: str
    """Such as "measured on AMD EPYC", or that it was not measured."""
    model: str
    dtype: str
    shapes: str
    """What was fed in."""
    claim: str
    """What users are told of it: behind "it was"."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Counters of the second forward on `shapes`, a scenario, at the full size of `model`."""


@dataclass(frozen=True)
class BestSet:
    """The flags for one kind of device, and towers of some sizes."""

    device: str
    flags: tuple[str, ...]
    certificate: Mapping[Size, Certificate]
    passed_over: Mapping[str, str]
    """Flags that would mean something and are not in it, with the reason of each."""


def size_of(width: int | None) -> Size:
    """The size class of a tower of this width; where it is not known, that of the released ones."""
    return "tiny" if width is not None and width < NARROWEST else "full"


SETS = tuple(
    BestSet(
        each["device"],
        tuple(each["flags"]),
        {size: Certificate(**made) for size, made in each["certificate"].items()},
        each["passed_over"],
    )
    for each in tomllib.loads(FILE.read_text(encoding="utf-8"))["set"]
)


def best_set(device: str, width: int | None = None) -> BestSet:
    """The set for a kind of device and a width; for a device without a set of its own it is that for CUDA."""
    kind = device if any(each.device == device for each in SETS) else "cuda"
    return next(each for each in SETS if each.device == kind and size_of(width) in each.certificate)


def certificate(device: str, width: int | None = None) -> Certificate:
    """By what that set was chosen for this size."""
    return best_set(device, width).certificate[size_of(width)]
