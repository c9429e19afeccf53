"""Finds what looks like a vision tower in the source of a package, for a person to accept. Imports nothing of it."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from vlbench.errors import UsageError, in_one_line
from vlbench.surveying.listed import Listed, ListedPackage

PIXELS = ("pixel_values", "pixels", "images")
"""How the first argument of a tower of images is called."""
FIRST = (*PIXELS, "hidden_states")
"""And of one of patches."""
NO_TOWER = {"input_ids", "inputs_embeds", "labels", "decoder_input_ids"}
"""Arguments of what is more than a tower."""
LATEST = ("VisionModel", "VisionTransformer", "VisionEncoder")
"""How the one of several towers of a folder ends that is counted, the first that there is."""


def discovered(package: str) -> ListedPackage:
    """The towers that `package` seems to have, one for each folder, and those left out, with the reason.

    Their forms are not known yet. Raises UsageError for a package that is not installed,
    and where it has none.
    """
    folder = _folder_of(package)
    towers: dict[str, Listed] = {}
    left_out: dict[str, str] = {}
    for path in sorted(folder.rglob("modeling_*.py")):
        module = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        try:
            classes = dict(_classes(ast.parse(path.read_bytes())))
        except (SyntaxError, ValueError) as error:
            left_out[f"{path.parent.name}.{path.stem}"] = f"not Python that this version reads: {in_one_line(error)}"
            continue
        fitting = {name: config for name, config in classes.items() if "Vision" in config or "Image" in config}
        left_out |= {
            f"{path.parent.name}.{name}": f"its config is {config or 'not said'}, which is none of a vision tower"
            for name, config in classes.items()
            if name not in fitting
        }
        if not fitting:
            continue
        chosen = min(fitting, key=lambda name: next((at for at, end in enumerate(LATEST) if name.endswith(end)), 9))
        name = path.parent.name
        towers[name] = Listed.model_validate({"name": name, "class": f"{module}:{chosen}", "config": fitting[chosen]})
        left_out |= {f"{name}.{other}": f"it stands beside {chosen}" for other in fitting if other != chosen}
    if not towers:
        raise UsageError(f"{package} has no file modeling_*.py with a vision tower; list its towers by hand (--list)")
    return ListedPackage(towers=towers, left_out=left_out)


def _folder_of(package: str) -> Path:
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except ValueError:  # __main__ has none
        spec = None
    if spec is None:
        raise UsageError(f"{package} is not installed; pip install {package}")
    if not spec.submodule_search_locations:
        raise UsageError(f"{package} is one file and no package of towers; name another")
    return Path(next(iter(spec.submodule_search_locations)))


def _classes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The classes of a module that are called as a tower is, with the config of each, "" where nothing says it."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not any(
            ast.unparse(base).lower().endswith("pretrainedmodel") for base in node.bases
        ):
            continue
        methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
        forward = methods.get("forward")
        if forward is not None and _is_towers(forward):
            yield node.name, _config(node, methods.get("__init__"))


def _is_towers(forward: ast.FunctionDef) -> bool:
    given = forward.args.args[1:]
    names = [each.arg for each in (*given, *forward.args.kwonlyargs)]
    needed = names[: len(given) - len(forward.args.defaults)]
    if not names or names[0] not in FIRST or NO_TOWER.intersection(names):
        return False
    has_grid = any(each in name for name in names for each in ("grid", "thw", "sizes", "shapes", "position_ids"))
    return has_grid or (names[0] in PIXELS and len(needed) <= 1)


def _config(node: ast.ClassDef, init: ast.FunctionDef | None) -> str:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == "config":
            return ast.unparse(each.annotation)
    arguments = init.args.args[1:2] if init else []
    return next((ast.unparse(each.annotation) for each in arguments if each.annotation), "")
