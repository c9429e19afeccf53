"""Stages of a tower that names none: module hooks, driven by a map from module names to stage names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from .stage import stage


def match_modules(module: nn.Module, names: Mapping[str, str]) -> dict[str, str]:
    """Module name -> stage name, for the modules inside `module` that a pattern of `names` fits.

    In a pattern `*` stands for one part of a dotted name; `{}` in the stage name is what it stood for, as in
    `"blocks.*.attn": "block[{}].attention"`. The first pattern that fits counts. Raises ValueError for a pattern that
    fits no module, or a stage name with more `{}` than its pattern has `*`.
    """
    patterns = {pattern: re.compile(re.escape(pattern).replace(r"\*", r"([^.]+)")) for pattern in names}
    found: dict[str, str] = {}
    used = set()
    for name, _ in module.named_modules():
        for pattern, expression in patterns.items():
            if match := expression.fullmatch(name):
                used.add(pattern)
                found.setdefault(name, _filled(names[pattern], match.groups(), pattern))
    if unused := [pattern for pattern in names if pattern not in used]:
        raise ValueError(f"stages: the pattern {unused[0]!r} fits no module of {type(module).__name__}; mend its name")
    return found


def _filled(stage_name: str, parts: tuple[str, ...], pattern: str) -> str:
    try:
        return stage_name.format(*parts)
    except (IndexError, KeyError, ValueError):
        raise ValueError(
            f"stages: {stage_name!r} asks for more than its pattern {pattern!r} has; write one {{}} for each *"
        ) from None


@contextmanager
def marked(module: nn.Module, stages: Mapping[str, str]) -> Iterator[None]:
    """Inside, every call of a module named in `stages` is a stage. Outside, the module carries no hooks."""
    modules = dict(module.named_modules())
    handles: list[RemovableHandle] = []
    try:
        for name, stage_name in stages.items():
            enter, leave = _hooks(stage_name)
            handles.append(modules[name].register_forward_pre_hook(enter, prepend=True))
            # Called for a forward that raises, too: a stage that was entered must be left.
            handles.append(modules[name].register_forward_hook(leave, always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooks(stage_name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    open_stages: list[Any] = []  # a module may be called inside itself

    def enter(*_: object) -> None:
        mark = stage(stage_name)
        mark.__enter__()
        open_stages.append(mark)

    def leave(*_: object) -> None:
        open_stages.pop().__exit__(None, None, None)

    return enter, leave
