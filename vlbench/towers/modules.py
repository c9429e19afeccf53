"""The module that `package.module:factory` names, looked for without importing it: a typing error is told at once."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from os.path import isfile
from pathlib import Path

from vlbench.errors import UsageError

CANNOT_BE_READ = {"__getattr__", "globals", "vars", "setattr", "exec", "*"}
"""By these a module may come to have names that its source does not say."""


def look_here() -> None:
    """From now on modules of the current folder and of the project around it are found, after installed ones."""
    here = Path.cwd()
    project = next((str(each) for each in here.parents if (each / "pyproject.toml").is_file()), str(here))
    for folder in (str(here), project):  # [tool.vlbench] may name a tower of the project, from wherever in it
        if folder not in sys.path and not (folder == str(here) and "" in sys.path):
            sys.path.append(folder)  # last: a stray typing_extensions.py there must not stand in for the installed one


def check_factory(name: str, attribute: str) -> None:
    """Raises UsageError where no module `name` is found from here, or its source says that it has no `attribute`.

    What cannot be told without importing it is left to whoever imports it.
    """
    look_here()
    try:
        spec, missing = _found(name)
    except (ImportError, AttributeError, ValueError):  # as of a module without a spec, or "..name"
        return
    if missing:
        near = get_close_matches(name.partition(".")[0], [*_modules_here()], n=1)
        meant = ".".join([*near, *name.split(".")[1:]])
        hint = f"; did you mean {meant}:{attribute}?" if near and meant != name else ""
        raise UsageError(f"{name} cannot be imported: ModuleNotFoundError: No module named {missing!r}{hint}")
    defined = list(defined_in(path)) if spec and (path := Path(spec.origin or "")).suffix == ".py" else []
    if defined and not {attribute.partition(".")[0], *CANNOT_BE_READ} & set(_named_in(path)):
        near = get_close_matches(attribute, defined, n=1)
        hint = f"did you mean {name}:{near[0]}?" if near else "name a function in it"
        raise UsageError(f"{name} has no {attribute!r}; {hint}")


def as_imported(file: str, attribute: str) -> str:
    """What to write in place of `file.py:factory`."""
    path = Path(file.removesuffix(".py"))
    if path.is_absolute() or ".." in path.parts:
        return f"write the module as it is imported, {path.name}:{attribute}, in the folder {path.parent}"
    absent = "" if isfile(f"{path}.py") else f"; there is no {path}.py here"
    return f"write the module as it is imported, {'.'.join(path.parts)}:{attribute}{absent}"


def module_meant(text: str) -> str:
    """What to write where `text` is no tower and a module of the current folder is called so, or nearly; else ""."""
    name = text.removesuffix(".py").removeprefix("./").replace("/", ".")
    file = Path(f"{name.replace('.', '/')}.py")
    if not isfile(file):
        name = next(iter(get_close_matches(name, [*_modules_here()], n=1, cutoff=0.8)), "")
        file = next((each for each in (Path(f"{name}.py"), Path(name, "__init__.py")) if name and isfile(each)), file)
    if not name or not isfile(file):
        return ""
    first, *others = [each for each in defined_in(file) if not each.startswith("_")] or ["factory"]
    return f"{file} is here: write --tower {name}:{first}" + (f", or one of {', '.join(others[:9])}" if others else "")


def defined_in(path: Path) -> Iterator[str]:
    """Functions, classes and other names at the top of a module that is there."""
    for each in _tree(path).body:
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign):
            yield from (target.id for target in each.targets if isinstance(target, ast.Name))


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ast.Module([], [])


def _named_in(path: Path) -> Iterator[str]:
    """Every name that anything in a module has or asks for, wherever in it."""
    for each in ast.walk(_tree(path)):
        match each:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]


def _found(name: str) -> tuple[ModuleSpec | None, str]:
    """Where a module lies, None where only importing it tells; or the first part of its name that is missing."""
    first, *others = name.split(".")
    spec = find_spec(first)
    for part in others:
        if spec is None:
            break
        if spec.submodule_search_locations is None:
            return None, ""
        first = f"{first}.{part}"
        inside = PathFinder.find_spec(first, spec.submodule_search_locations)
        if inside is None and {"sys", "__path__"} & set(_named_in(Path(spec.origin or ""))):
            return None, ""  # it may put its modules there itself
        spec = inside
    return spec, "" if spec else first


def _modules_here() -> Iterator[str]:
    yield from (path.stem for path in Path().glob("*.py"))
    yield from (path.parent.name for path in Path().glob("*/__init__.py"))
