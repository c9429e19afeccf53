"""What `@pytest.mark.vlbench` may say. Nothing is counted here, so a wrong marker is known when tests are collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from vlbench.comparing.counted_moves import COUNTERS
from vlbench.counting_device.profiles import PROFILES, VERSION
from vlbench.errors import UsageError
from vlbench.towers.models import DTYPES

if TYPE_CHECKING:
    import pytest

LIMIT = "max_"
ALIASES = {"syncs": "host_syncs", "operations": "device_operations"}
TEXTS = ("tower", "scenario", "cudnn", "baseline", "accepted")
NAMED = {"dtype": tuple(DTYPES), "as_": tuple(PROFILES)}
ARGUMENTS = (*TEXTS, *NAMED, "grid", "cold", *(LIMIT + name for name in (*ALIASES, *COUNTERS)))


@dataclass(frozen=True)
class Mark:
    """A tower to count, or cells of a baseline file to count again, or both. What was not said is None."""

    tower: str | None
    scenario: str | None
    grids: tuple[str, ...]
    dtype: str | None
    profile: str | None
    cudnn: str | None
    cold: bool
    """Do the limits hold the first forward, and not the second?"""
    limits: Mapping[str, int] = field(hash=False)
    """The largest count that is allowed, by counter."""
    baseline: str | None
    accepted: str | None
    """Who says why its limits are above those of the merge base: for `vlbench gate --base`."""


def argument(counter: str) -> str:
    """How a marker usually spells the limit of a counter."""
    return LIMIT + next((short for short, whole in ALIASES.items() if whole == counter), counter)


def marks_of(item: pytest.Item) -> list[Mark]:
    """What the markers of a test ask for, the nearest first. Raises UsageError for a marker that says nonsense.

    A marker that names neither a tower nor a baseline holds for the others: a class can say what its tests have in
    common, and a parameter which tower it is.
    """
    said = [_checked(marker, item) for marker in item.iter_markers("vlbench")]
    common: dict[str, Any] = {}
    for each in reversed(said):
        if not _names_cells(each):
            common = _laid_over(common, each)
    marks = [_mark(_laid_over(common, each), item) for each in said if _names_cells(each)]
    if not marks:
        raise _wrong(item, 'it names no tower; add tower="package.module:factory", or a baseline')
    return marks


def _checked(marker: pytest.Mark, item: pytest.Item) -> dict[str, Any]:
    """The marker's arguments, each of which exists and has a value of its kind; counters by their full names."""
    if marker.args:
        raise _wrong(item, f"{marker.args[0]!r} has no name; write tower={marker.args[0]!r}")
    found: dict[str, Any] = {}
    for name, value in marker.kwargs.items():
        if name not in ARGUMENTS:
            close = get_close_matches(name, ARGUMENTS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(ARGUMENTS)}"
            raise _wrong(item, f"there is no argument {name}; {hint}")
        if wanted := _wanted(name, value):
            raise _wrong(item, f"{name}={value!r} is not {wanted}; give one")
        counter = name.removeprefix(LIMIT)
        key = LIMIT + ALIASES.get(counter, counter) if name.startswith(LIMIT) else name
        if key in found:
            raise _wrong(item, f"{name} and another argument limit {key.removeprefix(LIMIT)}; give one of them")
        found[key] = value
    if "scenario" in found and "grid" in found:
        raise _wrong(item, "a grid takes the place of a scenario; give one of them")
    return found


def _wanted(name: str, value: object) -> str | None:
    """What the value should have been, None where it is."""
    if name in NAMED:
        return None if value in NAMED[name] else f"one of {', '.join(NAMED[name])}"
    if name == "cudnn":
        return None if isinstance(value, str) and VERSION.fullmatch(value) else 'a cuDNN 9 such as "9.15.1"'
    if name in TEXTS:
        return None if isinstance(value, str) and value else "a text"
    if name == "cold":
        return None if isinstance(value, bool) else "True or False"
    if name == "grid":
        several = isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value)
        return None if isinstance(value, str) or several else 'a grid such as "1x36x36", or a list of them'
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if whole else "a whole number from 0 up"


def _names_cells(arguments: Mapping[str, Any]) -> bool:
    return "tower" in arguments or "baseline" in arguments


def _laid_over(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` where it says something, else `common`; a grid and a scenario take each other's place."""
    replaced = {"scenario", "grid"} if {"scenario", "grid"} & own.keys() else set()
    return {name: value for name, value in common.items() if name not in replaced} | dict(own)


def _mark(arguments: Mapping[str, Any], item: pytest.Item) -> Mark:
    limits = {name.removeprefix(LIMIT): most for name, most in arguments.items() if name.startswith(LIMIT)}
    if limits and "tower" not in arguments:
        raise _wrong(item, "limits hold a tower, and a baseline has its own; add tower=..., or leave them out")
    shown = "vlbench_counts" in getattr(item, "fixturenames", ())
    if not limits and "baseline" not in arguments and not shown:
        raise _wrong(item, "it sets no limit; add max_syncs=0 or another, a baseline, or ask for vlbench_counts")
    grid = arguments.get("grid", ())
    return Mark(
        tower=arguments.get("tower"),
        scenario=arguments.get("scenario"),
        grids=(grid,) if isinstance(grid, str) else tuple(grid),
        dtype=arguments.get("dtype"),
        profile=arguments.get("as_"),
        cudnn=arguments.get("cudnn"),
        cold=arguments.get("cold", False),
        limits=limits,
        baseline=arguments.get("baseline"),
        accepted=arguments.get("accepted"),
    )


def _wrong(item: pytest.Item, sentence: str) -> UsageError:
    return UsageError(f"{item.nodeid}: @pytest.mark.vlbench: {sentence}")
