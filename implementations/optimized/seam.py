"""Seams and the one decorator that registers an optimization.

A seam is a place in the forward where one of several ways can be chosen. A flag names one way of one seam, so two flags
of the same seam exclude each other by construction. A new optimization is one decorated function or class beside its
naive twin, with the same signature; the command line, the documentation and the tests find it here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from ..config import VisionConfig
from ..near import no_flag
from .advice import InCapture, InCode
from .traffic import TrafficRule

Way = TypeVar("Way", bound=Callable[..., Any])
Applies = Callable[[VisionConfig, str], str | None]
"""Given the model and the device kind ("cpu", "cuda"): None where the flag means something, else why it does not."""


class Exactness(StrEnum):
    """How close a flag's results are to the reference tower's, from strictest to loosest."""

    BIT_EXACT = "bit-exact"
    ULP = "ulp"
    """The same arithmetic with a last-place difference in an intermediate (a table made on another device)."""
    REASSOCIATED = "reassociated"
    """The same maths summed in another order."""
    RESULT_CHANGING = "result-changing"
    """Another result by design; never part of a preset that promises the same answers."""


class FlagError(ValueError):
    """A flag set that cannot be built; the message says what to change."""


@dataclass(frozen=True)
class Optimization:
    """One flag: a way of a seam, and what there is to know about it."""

    flag: str
    seam: Seam[Any]
    way: Callable[..., Any]
    removes: str
    """The cost it takes away, in one sentence."""
    exactness: Exactness
    source: str
    """Where it comes from: systems, pull requests."""
    applies: tuple[Applies, ...]
    requires: tuple[str, ...]
    beside: tuple[str, ...] = ()
    """Flags without which it changes nothing; it is counted beside them."""
    pairs: tuple[str, ...] = ()
    """Flags beside each of which it is measured as well as alone, where both mean something."""
    excludes: tuple[str, ...] = ()
    """Flags that cannot be on beside it."""
    advice: tuple[InCode | InCapture, ...] = ()
    """By what that cost shows, in a count or a capture of anyone's forward."""
    formerly: tuple[str, ...] = ()
    """Names of earlier versions that mean it, too."""
    traffic: TrafficRule | None = None
    """Of a kernel: what one call moves in memory."""
    only_named: str = ""
    """Why it is in no preset and in no matrix unless it is named; empty where it may be."""
    uncounted: str = ""
    """Why no counter tells what it changes; empty where they do."""
    note: str = ""
    """What has to be known of its counts and its code; empty where they say all."""

    def inapplicable(self, config: VisionConfig, device: str, *, alone: bool = False) -> str | None:
        """Why the flag means nothing for this model on this kind of device, or None where it does mean something.

        `alone`: with its seam by itself, outside of a tower.
        """
        if not (alone or self.seam.in_tower):
            return "it is not part of the tower"
        return next((reason for test in self.applies if (reason := test(config, device))), None)


OPTIMIZATIONS: dict[str, Optimization] = {}
"""Every flag by its name, in the order of the forward."""
RENAMED: dict[str, str] = {}
"""Names of earlier versions, and what each is called now."""


class Seam(Generic[Way]):
    """A place in the forward, its naive way, and the flags that replace it."""

    def __init__(self, name: str, *, default: str | None = None, in_tower: bool = True) -> None:
        self.name = name
        self.default = default
        """The flag that presets prefer where several of this seam would do."""
        self.in_tower = in_tower
        """False for a place before or after the tower: it is measured alone, and no tower takes its flags."""
        self._naive: Way | None = None
        self._flags: dict[str, Way] = {}

    @property
    def naive_way(self) -> Way:
        """What the reference tower does here. Raises FlagError where none is registered."""
        if self._naive is None:
            raise FlagError(f"seam {self.name!r} has no naive way")
        return self._naive

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of its flags."""
        return tuple(self._flags)

    def naive(self, way: Way) -> Way:
        """Register what the reference tower does here."""
        self._naive = way
        return way

    def optimization(
        self,
        flag: str,
        *,
        removes: str,
        exactness: Exactness,
        source: str,
        applies: Iterable[Applies] = (),
        requires: Iterable[str] = (),
        beside: Iterable[str] = (),
        pairs: Iterable[str] = (),
        excludes: Iterable[str] = (),
        advice: Iterable[InCode | InCapture] = (),
        formerly: Iterable[str] = (),
        traffic: TrafficRule | None = None,
        only_named: str = "",
        uncounted: str = "",
        note: str = "",
    ) -> Callable[[Way], Way]:
        """Register another way under `flag`."""

        def register(way: Way) -> Way:
            if flag in OPTIMIZATIONS:
                raise FlagError(f"the flag {flag!r} is registered twice")
            OPTIMIZATIONS[flag] = Optimization(
                flag,
                self,
                way,
                removes,
                exactness,
                source,
                tuple(applies),
                tuple(requires),
                tuple(beside),
                tuple(pairs),
                tuple(excludes),
                tuple(advice),
                tuple(formerly),
                traffic,
                only_named,
                uncounted,
                note,
            )
            RENAMED.update(dict.fromkeys(OPTIMIZATIONS[flag].formerly, flag))
            self._flags[flag] = way
            return way

        return register

    def way(self, flags: FlagSet) -> Way:
        """The way that `flags` chooses."""
        return self.way_of(flags.names)

    def chosen(self, flags: FlagSet) -> Way | None:
        """The same, and None for the naive way, of a seam where that does nothing: a call in every layer costs."""
        way = self.way(flags)
        return None if way is self.naive_way else way

    def way_of(self, names: Collection[str]) -> Way:
        """The way that one of these flags names, the naive one where none does; for a seam by itself."""
        return next((way for flag, way in self._flags.items() if flag in names), self.naive_way)


@dataclass(frozen=True)
class FlagSet:
    """A choice of flags that can be built for `config` on a `device` kind; anything else is refused here.

    A name of an earlier version becomes the one of today.
    """

    names: frozenset[str]
    config: VisionConfig
    device: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(find_flag(name).flag for name in self.names))
        chosen: dict[str, str] = {}
        for name in sorted(self.names):
            flag = find_flag(name)
            if others := sorted(self.names.intersection(excluded_by(flag))):
                raise FlagError(f"{name} and {others[0]} exclude each other; choose one")
            if not flag.seam.in_tower:
                raise FlagError(f"{name} is not part of the tower; measure it with --seam {flag.seam.name}")
            if reason := flag.inapplicable(self.config, self.device):
                raise FlagError(f"{name} cannot be used here: {reason}; leave it out")
            if missing := [other for other in flag.requires if other not in self.names]:
                raise FlagError(f"{name} needs {' and '.join(missing)}; add it: {'+'.join((*missing, name))}")
            if other := chosen.get(flag.seam.name):
                raise FlagError(f"{other} and {name} are two ways of one seam ({flag.seam.name}); choose one")
            chosen[flag.seam.name] = name

    def exactness(self) -> Exactness:
        """The loosest class among the flags."""
        order = list(Exactness)
        return max((OPTIMIZATIONS[name].exactness for name in self.names), key=order.index, default=order[0])


def find_flag(name: str) -> Optimization:
    """The flag called `name`, today or in an earlier version; FlagError when there is none."""
    name = RENAMED.get(name, name)
    if name not in OPTIMIZATIONS:
        raise FlagError(no_flag(name, OPTIMIZATIONS))
    return OPTIMIZATIONS[name]


def excluded_by(flag: Optimization) -> list[str]:
    """Flags of other seams that cannot be on beside it, whichever of the two says so."""
    named_by = (name for name, other in OPTIMIZATIONS.items() if flag.flag in other.excludes)
    return list(dict.fromkeys([*flag.excludes, *named_by]))


def with_requirements(names: Iterable[str]) -> frozenset[str]:
    """These flags and all that they need."""
    result: set[str] = set()
    waiting = list(names)
    while waiting:
        flag = find_flag(waiting.pop())
        if flag.flag not in result:
            result.add(flag.flag)
            waiting.extend(flag.requires)
    return frozenset(result)


def on_cuda(config: VisionConfig, device: str) -> str | None:
    """For flags about copies to a GPU."""
    return None if device == "cuda" else f"it concerns copies to a GPU, and on a {device} there are none"


def with_windows(config: VisionConfig, device: str) -> str | None:
    """For flags about attention windows."""
    return None if config.window_size else f"{config.name} has no window attention"


def with_cudnn(config: VisionConfig, device: str) -> str | None:
    """For flags about attention of cuDNN."""
    return None if device == "cuda" else f"it concerns attention of cuDNN, and on a {device} there is none"


def with_varlen(config: VisionConfig, device: str) -> str | None:
    """For flags about torch's attention over segments of different lengths."""
    return None if device == "cuda" else f"torch has varlen attention for CUDA alone, and none on a {device}"


def with_gated_mlp(config: VisionConfig, device: str) -> str | None:
    """For flags about the gated MLP."""
    return None if config.mlp == "gated" else f"{config.name} has no gated MLP"


def with_uneven_mlp(config: VisionConfig, device: str) -> str | None:
    """For flags about an MLP whose width is no multiple of 8."""
    even = config.intermediate_size % 8 == 0
    return f"the MLP of {config.name} is a multiple of 8 wide, {config.intermediate_size}" if even else None
