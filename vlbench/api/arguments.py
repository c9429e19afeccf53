"""What arguments may be: one or several of a thing, paths or texts, towers by name or as objects."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from vlbench.errors import UsageError
from vlbench.towers.tower import Tower

P = ParamSpec("P")
R = TypeVar("R")
File = str | PathLike[str]
Names = str | Sequence[str] | None
TowerLike = str | Tower | Callable[..., Any]
"""A name as `--tower` takes it, or a factory or `vlbench.Tower` at the top of a module."""
Towers = TowerLike | Sequence[TowerLike] | None


def several(given: Names) -> list[str]:
    """The texts, of which there may be one or none."""
    return [given] if isinstance(given, str) else list(given or ())


def paths(given: File | Iterable[File] | None) -> list[Path]:
    """The paths, of which there may be one or none."""
    if given is None or isinstance(given, str | PathLike):
        return [] if given is None else [Path(given)]
    return [Path(each) for each in given]


def path_of(given: File | None) -> Path | None:
    """The path, if one was given."""
    return None if given is None else Path(given)


def tower_names(given: Towers) -> list[str]:
    """Each tower by the name that measuring processes import it by. Raises UsageError for one that has none."""
    if given is None or isinstance(given, str | Tower) or callable(given):
        return [] if given is None else [_tower_name(given)]
    return [_tower_name(each) for each in given]


def _tower_name(tower: TowerLike) -> str:
    if isinstance(tower, str):
        return tower
    if isinstance(tower, Tower):
        raise UsageError(f"tower {tower.name!r} is an object; name where it lies: tower='package.module:NAME'")
    module, name = getattr(tower, "__module__", ""), getattr(tower, "__qualname__", "")
    if not module or not name or "<" in name:
        raise UsageError(f"tower {name or tower!r} is made inside of a function; put it at the top of a module")
    return f"{module}:{name}"


def called(name: str, arguments: dict[str, object], function: Callable[..., Any]) -> str:
    """The call as it would be written, without what has its usual value: what results say they were made by."""
    usual = {key: each.default for key, each in signature(function).parameters.items() if key != "progress"}
    told = [f"{key}={value!r}" for key, value in arguments.items() if key in usual and value != usual[key]]
    return f"vlbench.{name}({', '.join(told)})"


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose messages call arguments by their names and not as the command line does."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UsageError as error:
            error.args = (argument_words(str(error)),)
            raise

    return call


OTHERWISE = {"as": "gpu", "with": "variant", "filter": "only"}
"""Arguments that have another name than the option."""


def argument_words(sentence: str) -> str:
    """`--device: ...` as `device: ...`; commands between backticks stay as they are."""
    return re.sub(r"(`[^`]*`)|--([a-z]+)", lambda found: found[1] or OTHERWISE.get(found[2], found[2]), sentence)
