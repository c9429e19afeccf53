"""Towers of another folder, such as the files of another revision: `at:FOLDER:TOWER`.

Our own implementations are loaded under a name made of the folder, so that several of them share a process: they import
relatively, and name their operators after themselves. Anyone else's package keeps its name, so a process can hold it
from one folder only.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from vlbench.counting_device.declarations import declare_ours
from vlbench.errors import UsageError, in_one_line, resolved
from vlbench.implementations.config import MODELS
from vlbench.record.schema import NO_FLAGS
from vlbench.towers.models import drawn
from vlbench.towers.modules import ROOTS
from vlbench.towers.tower import Tower
from vlbench.untrusted.pytest_settings import python_path

if TYPE_CHECKING:
    from torch import Tensor, nn

OURS = "implementations"
NEWER_MODULES = ("preprocessing", "output")
"""They say what a tower is fed and what it returns. Revisions from before they were there do not compare."""
_PLACED = re.compile(r"at:(?P<folder>.+?):(?P<tower>[\w.]+:[\w.]+|[^:/]+)")


@dataclass(frozen=True)
class TowerInFolder:
    """A tower and the folder that it is to come from."""

    folder: Path
    tower: str
    """As `resolve_tower` reads it, without a place."""
    python: ClassVar[None] = None
    """It is made by this one."""

    def __str__(self) -> str:
        return f"at:{self.folder}:{self.tower}"

    @property
    def is_foreign(self) -> bool:
        """Is it a factory, rather than a tower of our own?"""
        return ":" in self.tower


def tower_in_folder(text: str) -> TowerInFolder | None:
    """What an `at:` names, None for a tower that says no place. Raises UsageError for a broken one."""
    if not text.startswith("at:"):
        return None
    if not (match := _PLACED.fullmatch(text)):
        raise UsageError(f"tower {text!r}: write it as at:FOLDER:TOWER, such as at:../before:qwen2.5-vl-tiny+best")
    return TowerInFolder(resolved(Path(match["folder"]), match["folder"]), match["tower"])


def _roots(folder: Path) -> list[Path]:
    """Where a folder keeps its packages: by custom, and by what it tells pytest."""
    return [*(folder / root for root in ROOTS), *(each for each in python_path(folder) if each.is_relative_to(folder))]


def import_root(folder: Path, module: str) -> Path | None:
    """Which of a folder's roots holds the top of `module`, None if none does."""
    top = module.partition(".")[0]
    return next((root for root in _roots(folder) if (root / top).is_dir() or (root / f"{top}.py").is_file()), None)


def prefer(folder: Path, module: str) -> None:
    """Let imports look into `folder` first. Raises UsageError where `module` is not there, or is from elsewhere."""
    top = module.partition(".")[0]
    if import_root(folder, module) is None:
        raise UsageError(f"{folder} has no package {top!r}; name a module that is there")
    if (other := sys.modules.get(top)) and not comes_from(other, folder):
        raise UsageError(f"{top} is already imported from elsewhere; two of one name need a process each")
    roots = [str(root) for root in _roots(folder) if root.is_dir()]
    sys.path[:] = [*roots, *(path for path in sys.path if path not in roots)]
    importlib.invalidate_caches()


def comes_from(module: ModuleType, folder: Path) -> bool:
    """Does this module's file lie in `folder`? A package without a file is asked for its folders."""
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return any(Path(place).resolve().is_relative_to(folder) for place in places)


def our_tower(at: TowerInFolder) -> Tower:
    """A tower of the implementations in a folder, which takes the tensors of its model. Raises UsageError."""
    package, name, flags = _understood(at)
    config = package.config.MODELS[name]

    def load(weights: Mapping[str, Tensor]) -> nn.Module:
        from vlbench.towers.stage_relay import StageForwardingTower

        device = next(iter(weights.values())).device.type
        kind = "cuda" if device == "meta" else device  # what is only counted is counted for a GPU
        chosen = _chosen(package, at, kind).names if flags else None
        # Tensors of its own class: what is joined of them is joined as this revision does it, and shared with no other.
        tower = package.build_tower(config, chosen, package.weights.SharedTensors(weights), kind)
        output = importlib.import_module(f"{package.__name__}.output").VisionOutput
        return StageForwardingTower(tower, package.stage.listen, output)

    def make(device: Any, dtype: Any) -> nn.Module:
        return load(drawn(MODELS[name], device, dtype))

    sizes = {"patch_size": config.patch_size, "temporal_patch_size": config.temporal_patch_size}
    fed = replace(MODELS[name].preprocessing, merge_size=config.spatial_merge_size, **sizes)
    return Tower(make, load, name, stages=None, preprocessing=fed, source=str(at.folder), name=str(at))


def claim_of(at: TowerInFolder, device: str) -> str:
    """The exactness class that our tower in a folder claims on a kind of device. Raises UsageError."""
    package, _, flags = _understood(at)
    return str(_chosen(package, at, device).exactness()) if flags else "bit-exact"


def _understood(at: TowerInFolder) -> tuple[Any, str, list[str]]:
    """The implementations of a folder, and the model and the flags that the tower is made of."""
    package: Any = _implementations(at.folder)
    if lacking := [part for part in NEWER_MODULES if importlib.util.find_spec(f"{package.__name__}.{part}") is None]:
        raise UsageError(
            f"{at.folder}/{OURS} has no module {' and no module '.join(lacking)}, so it does not say what its towers "
            "are fed and return: it is too old for this vlbench; name a later revision, or run the vlbench of that one"
        )
    name, *flags = at.tower.split("+")
    for models, whose in ((package.config.MODELS, "it"), (MODELS, "vlbench, whose reference tower judges it,")):
        if name not in models:
            raise UsageError(f"tower {str(at)!r}: {whose} has no model {name!r}; choose one of {', '.join(models)}")
    check_flags(package.optimized, flags, str(at))
    return package, name, flags


def check_flags(registry: Any, names: list[str], tower: str) -> None:
    """Raises UsageError for a name that is neither a flag nor a preset of `registry`, the package `optimized`.

    `no-flags` alone is the tower without any.
    """
    try:
        for name in names if names != [NO_FLAGS] else ():
            if name not in registry.PRESETS:
                registry.find_flag(name)
    except registry.FlagError as error:
        raise UsageError(f"tower {tower!r}: {error}") from None


def _chosen(package: Any, at: TowerInFolder, device: str) -> Any:
    """The flags of a tower by the registry and the presets of its own revision."""
    own = package.optimized
    name, *parts = at.tower.split("+")
    config = package.config.MODELS[name]
    try:
        names: set[str] = set()
        for part in parts if parts != [NO_FLAGS] else ():
            names |= own.preset_flags(part, config, device)[0] if part in own.PRESETS else {part}
        return own.FlagSet(frozenset(names), config, device)
    except own.FlagError as error:
        raise UsageError(f"tower {str(at)!r}: {error}") from None


def _implementations(folder: Path) -> ModuleType:
    """The package `implementations` of a folder, under a name that no other folder's has. Raises UsageError."""
    outer = f"vlbench_at_{sha256(str(folder).encode()).hexdigest()[:12]}"
    name = f"{outer}.{OURS}"
    if name in sys.modules:
        return sys.modules[name]
    source = folder / OURS / "__init__.py"
    if not source.is_file():
        raise UsageError(
            f"{folder} has no {OURS}/__init__.py; name a factory, package.module:factory, of what is there"
        )
    try:
        sys.modules[outer] = _module(outer, None)
        package = sys.modules[name] = _module(name, source)
        for part in ("config", "weights", "stage", "optimized"):
            importlib.import_module(f"{name}.{part}")
        declare_ours(name)
    except Exception as error:  # whatever a module raises when it is imported
        for loaded in [each for each in sys.modules if each.partition(".")[0] == outer]:
            del sys.modules[loaded]
        raise UsageError(f"{source.parent} cannot be loaded: {in_one_line(error)}") from None
    return package


def _module(name: str, source: Path | None) -> ModuleType:
    """A package from its file, or an empty one to hold others."""
    if source is None:
        empty = ModuleType(name)
        empty.__path__ = []
        return empty
    spec = importlib.util.spec_from_file_location(name, source, submodule_search_locations=[str(source.parent)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: it imports relatively
    spec.loader.exec_module(module)
    return module
