"""`[tool.vlbench]` of the user's pyproject.toml: what is taken where an argument is left out."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from vlbench.counting_device.profiles import CUDNN, cudnn_of, profile
from vlbench.errors import UsageError
from vlbench.process.git import text_at, top
from vlbench.record.baseline_files import FOLDER
from vlbench.untrusted.files import Kind, parse_toml, read_toml

FILE = "pyproject.toml"
PROJECT = Kind("mend it, since vlbench looks for [tool.vlbench] in it", broken="{path}: not TOML ({why}); {remedy}")


class Defaults(BaseModel):
    """The keys of `[tool.vlbench]`, each optional."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    tower: str | None = None
    """As `tower=` and `--tower` take it."""
    scenario: str | None = None
    """As `scenario=` and `--scenario` take it."""
    gpu: str = "sm_90"
    """The GPU that counting answers for, as `gpu=` and `--as` take it."""
    cudnn: str = CUDNN
    """The cuDNN that it answers for, as `cudnn=` and `--cudnn` take it."""
    baselines: str = str(FOLDER)
    """The folder of baseline files, seen from where pyproject.toml lies."""

    def answered_for(self, gpu: str | None, cudnn: str | None) -> tuple[str, str]:
        """The GPU and the cuDNN that counting answers for: those that are given, else these. Raises UsageError."""
        name = self.gpu if gpu is None else gpu
        profile(name)
        return name, cudnn_of(self.cudnn if cudnn is None else cudnn)


_KEYS = ", ".join(Defaults.model_fields)


def defaults(start: Path | None = None, commit: str | None = None) -> Defaults:
    """Those of the nearest pyproject.toml from `start`, by default the current folder, upwards.

    Those of a `commit` are what it was then. Raises UsageError, naming file and key, for a key that there is not, and
    for a value that is no text, no GPU or no cuDNN.
    """
    here = (start or Path()).resolve()
    last = (top() if commit else None) or Path(here.anchor)
    folders = [folder for folder in (here, *here.parents) if folder.is_relative_to(last)]
    found = ((folder / FILE, _table(folder / FILE, commit)) for folder in folders)
    return next((_defaults(path, table, here) for path, table in found if table is not None), Defaults())


def _table(path: Path, commit: str | None) -> dict[str, Any] | None:
    if commit is None:
        return read_toml(path, PROJECT) if os.path.lexists(path) else None
    text = text_at(commit, path)
    return None if text is None else parse_toml(text, path, PROJECT)


def _defaults(path: Path, table: dict[str, Any], here: Path) -> Defaults:
    tool = table.get("tool", {})
    keys = tool.get("vlbench", {}) if isinstance(tool, dict) else tool
    if not isinstance(keys, dict):
        raise UsageError(f"{path}: [tool.vlbench] is {keys!r:.40} and no table; write {_KEYS} below it, each a text")
    for key, value in keys.items():
        if key not in Defaults.model_fields:
            raise UsageError(f"{path}: [tool.vlbench] has no key {key!r}; the keys are {_KEYS}")
        if not isinstance(value, str):
            raise UsageError(f"{path}: [tool.vlbench] {key} is {value!r:.40} and no text; write it in quotes")
        if not value:
            raise UsageError(f"{path}: [tool.vlbench] {key} is empty; say what it is, or leave the key out")
    found = Defaults.model_validate(keys)
    profile(found.gpu, named=f"{path}: [tool.vlbench] gpu")
    cudnn_of(found.cudnn, f"{path}: [tool.vlbench] cudnn")
    folder = path.parent / found.baselines
    inside = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return found.model_copy(update={"baselines": str(inside)})
