"""What follows from the grids, as a package makes it outside of a forward and hands it in.

transformers' functions of `vision_utils` take the keyword arguments of a call, and give back what is there under their
own name in place of making it. So what they make in one call is handed to the next.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from types import ModuleType
from typing import Any
from unittest.mock import patch

from torch import nn

_TAKEN = re.compile(r"kwargs\.pop\(\s*\"(\w+)\"")
UTILITIES = "vision_utils"
"""The module of a package that holds such functions."""


@cache
def keys_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names under which a function looks for what it would make."""
    return tuple(dict.fromkeys(_TAKEN.findall(inspect.getsource(function))))


def preparing(tower: nn.Module) -> list[tuple[ModuleType, str, Callable[..., Any]]]:
    """The functions that prepare something for a tower, with the modules that know them; none where none is offered."""
    module = sys.modules[type(tower).__module__]
    utilities = sys.modules.get(f"{module.__name__.partition('.')[0]}.{UTILITIES}")
    return [
        (each, name, value)
        for each in filter(None, (module, utilities))
        for name, value in list(vars(each).items())
        if utilities is not None
        and inspect.isfunction(value)
        and name.startswith("get_")
        and "kwargs" in inspect.signature(value).parameters
        and keys_of(value)
    ]


def offers(tower: nn.Module) -> bool:
    """Does the code of a tower ask for something that can be prepared?"""
    own = vars(sys.modules[type(tower).__module__]).values()
    known = [function for _, _, function in preparing(tower)]
    return any(each in known or getattr(each, "__module__", "").endswith(f".{UTILITIES}") for each in own)


@contextmanager
def keeping(tower: nn.Module) -> Iterator[dict[str, Any]]:
    """What is prepared inside, by its names, each as it was made first."""
    made: dict[str, Any] = {}
    with ExitStack() as patches:
        for module, name, function in preparing(tower):
            patches.enter_context(patch.object(module, name, _kept(function, made)))
        yield made


def _kept(function: Callable[..., Any], made: dict[str, Any]) -> Callable[..., Any]:
    keys = keys_of(function)

    @wraps(function)
    def call(*args: Any, kwargs: dict[str, Any] | None = None, **named: Any) -> Any:
        result = function(*args, **named)
        parts = result if isinstance(result, tuple) and len(result) == len(keys) > 1 else (result,)
        for key, part in zip(keys, parts, strict=False):
            made.setdefault(key, part)
        return result

    return call
