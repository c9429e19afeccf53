"""The module that `package.module:factory` names, looked for without importing it: a typing error is told at once."""

import ast
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from os.path import isfile
from pathlib import Path
from unicodedata import normalize

from vlbench.errors import UsageError

ROOTS = ("", "src", "python")
"""Where a folder keeps its packages, by custom."""
DYNAMIC = {"sys", "setattr", "__setattr__", "globals", "locals", "vars", "exec", "__dict__", "__getattr__", "__name__"}
"""By these a module may come to have names that its source does not say."""
ELSEWHERE = "call vlbench in the folder that holds it, or install it"


def look_here() -> None:
    """From now on modules of the current folder and of the project around it are found, after installed ones.

    Where a project keeps its packages in a folder of their own, such as `src`, they are found there, and where pytest
    finds them.
    """
    here = Path.cwd()
    project = next((each for each in here.parents if (each / "pyproject.toml").is_file()), here)
    for place in (*(folder / root for root in ROOTS for folder in (here, project)), *_roots()):
        known = str(place) in sys.path or (place == here and "" in sys.path)
        if not known and place.is_dir():  # [tool.vlbench] may name a tower of the project, from wherever in it
            sys.path.append(str(place))  # last: a stray typing_extensions.py must not stand in for the installed one


def check_factory(name: str, attribute: str) -> None:
    """Raises UsageError where the first part of `name` is found nowhere, or a plain module surely has no `attribute`.

    Whatever cannot be told for certain without importing it is left to whoever imports it, all of packages among it.
    """
    look_here()
    top, inside, _ = name.partition(".")
    try:
        spec = find_spec(top)
        text = spec.loader.get_source(top) if spec and type(spec.loader) is SourceFileLoader else None
    except Exception:  # whatever anyone's finder raises
        return
    if top and spec is None:
        near = get_close_matches(top, [*_modules_here()], n=1)
        meant = f"did you mean {near[0]}{name.removeprefix(top)}:{attribute}?" if near else ELSEWHERE
        raise UsageError(f"{name} cannot be imported: ModuleNotFoundError: No module named {top!r}; {meant}")
    alone = spec and spec.submodule_search_locations is None and not inside and top not in sys.modules
    if spec and alone and text is not None and _surely_lacks(text, attribute.partition(".")[0]):
        raise UsageError(lacks(name, attribute, spec.origin))


def lacks(name: str, attribute: str, file: str | None) -> str:
    """The sentence for a module, of that file if of any, that has no such attribute."""
    near = get_close_matches(attribute, [*defined_in(Path(file or ""))], n=1)
    return f"{name} has no {attribute!r}; " + (f"did you mean {name}:{near[0]}?" if near else "name a function in it")


def as_imported(file: str, attribute: str) -> str:
    """What to write in place of `file.py:factory`."""
    path = Path(file.removesuffix(".py"))
    if path.is_absolute() or ".." in path.parts:
        return f"write the module as it is imported, {path.name}:{attribute}, in the folder {path.parent}"
    absent = "" if isfile(f"{path}.py") else f"; there is no {path}.py here"
    here = Path.cwd() / path
    roots = (root for root in _roots() if root in here.parents and not (root / "__init__.py").is_file())
    name = ".".join(here.relative_to(max(roots, key=lambda root: len(root.parts), default=Path.cwd())).parts)
    return f"write the module as it is imported, {name}:{attribute}{absent}"


def module_meant(text: str) -> str:
    """What to write where `text` is no tower and a module of the current folder is called so, or nearly; else ""."""
    name = text.removesuffix(".py").removeprefix("./").replace("/", ".")
    file = Path(f"{name.replace('.', '/')}.py")
    inside, _, last = name.rpartition(".")  # of module.factory
    for each in (Path(f"{inside.replace('.', '/')}.py"), Path(inside.replace(".", "/"), "__init__.py")):
        if inside and not isfile(file) and isfile(each) and (near := get_close_matches(last, [*defined_in(each)], n=1)):
            return f"{each} is here: did you mean {inside}:{near[0]}?"
    if inside and not isfile(file) and isfile(f"{inside.replace('.', '/')}.py"):
        return module_meant(inside)
    if not isfile(file):
        name = next(iter(get_close_matches(name, [*_modules_here()], n=1, cutoff=0.8)), "")
        file = next((each for each in (Path(f"{name}.py"), Path(name, "__init__.py")) if name and isfile(each)), file)
    if not name or not isfile(file):
        return ""
    first, *others = [each for each in defined_in(file) if not each.startswith("_")] or ["factory"]
    return f"{file} is here: did you mean {name}:{first}?" + (f" or one of {', '.join(others[:9])}?" if others else "")


def defined_in(path: Path) -> Iterator[str]:
    """Functions, classes and other names at the top of a module that is there."""
    try:
        tree = _tree(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for each in tree.body if tree else ():
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign):
            yield from (target.id for target in each.targets if isinstance(target, ast.Name))


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _surely_lacks(text: str, attribute: str) -> bool:
    """Does a module of that source never speak of `attribute`, and run nothing that could put it there unspoken?"""
    words = set(re.findall(r"\w+", normalize("NFKC", text)))
    tree = None if attribute.startswith("__") or words & {attribute, *DYNAMIC} else _tree(text)
    return tree is not None and not any(map(_may_add_names, tree.body))


def _may_add_names(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return bool(statement.decorator_list)
    if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant):
        return True  # run for what it does
    return any(
        isinstance(each, ast.Call)
        or (isinstance(each, ast.alias) and each.name == "*")
        or getattr(each, "decorator_list", ())
        for each in ast.walk(statement)
    )


def _roots() -> list[Path]:
    """The current folder, and where else modules of it are: by custom, and by the settings of pytest."""
    from vlbench.untrusted.pytest_settings import python_path  # completing a name needs none

    here = Path.cwd()
    return [*(here / root for root in ROOTS), *python_path(here)]


def _modules_here() -> Iterator[str]:
    for root in _roots():
        yield from (path.stem for path in root.glob("*.py"))
        yield from (path.parent.name for path in root.glob("*/__init__.py"))
