"""docs/reference.md: every public name of vlbench, with its signature and its docstring."""

from __future__ import annotations

import inspect
import re
from enum import Enum

import vlbench

SHORT = {
    r"vlbench\.towers\.tower\.Tower": "Tower",
    r"str \| Tower \| collections\.abc\.Callable\[\.\.\., typing\.Any\]": "TowerLike",
    r"str \| os\.PathLike\[str\]": "File",
    r"str \| collections\.abc\.Sequence\[str\] \| None": "Names",
    r"TowerLike \| collections\.abc\.Sequence\[TowerLike\] \| None": "Towers",
    r"(?<![\w'])(?:[a-z_]+\.)+(?=[A-Z])": "",
}
"""What signatures say where annotations were evaluated, and what our own code calls it."""
KINDS = (
    "`File` is a path as a text or a `Path`; `Names` is a text or several, or None; `TowerLike` is a name such as\n"
    '"my_tower:Tower", a factory or a `vlbench.Tower`; `Towers` is one or several of these.'
)


def reference() -> str:
    """A heading, a signature and a docstring for each name: functions first, then classes."""
    public = {name: getattr(vlbench, name) for name in vlbench.__all__ if name != "__version__"}
    functions = [name for name, each in public.items() if not inspect.isclass(each)]
    classes = [name for name in public if name not in functions]
    return "\n\n".join([KINDS, *(_entry(name, public[name]) for name in [*functions, *classes])])


def _entry(name: str, each: object) -> str:
    told = inspect.getdoc(each) or ""
    return f"## {name}\n\n```python\nvlbench.{name}{_signature(each)}\n```\n\n{told}"


def _signature(each: object) -> str:
    found = inspect.signature(each)  # type: ignore[arg-type]
    lines, parameters = [], list(found.parameters.values())
    for before, one in zip([None, *parameters], parameters, strict=False):
        if one.kind is one.KEYWORD_ONLY and (before is None or before.kind is not one.KEYWORD_ONLY):
            lines.append("    *,")
        lines.append(f"    {one.name}: {_annotation(one.annotation)}{_default(one.default)},")
    gives = "" if inspect.isclass(each) else f" -> {_annotation(found.return_annotation)}"
    return "\n".join(["(", *lines, f"){gives}"])


def _default(given: object) -> str:
    if given is inspect.Parameter.empty:
        return ""
    return f" = {(given.value if isinstance(given, Enum) else given)!r}".replace("<factory>", "{}")


def _annotation(given: object) -> str:
    text = given if isinstance(given, str) else inspect.formatannotation(given)
    for long, short in SHORT.items():
        text = re.sub(long, short, text)
    return text
