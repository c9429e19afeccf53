"""A package with a few towers, a list of them, and releases of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

LIST = "towers.toml"
ENTRY = """
[toy_towers.towers.{name}]
class = "toy_towers.models.{name}.modeling_{name}:{kind}VisionModel"
config = "{kind}VisionConfig"
form = "patches"
"""
UTILITIES = """
def get_bounds(grid_thw, kwargs=None):
    if kwargs is not None and (bounds := kwargs.pop("bounds", None)) is not None:
        return bounds
    return grid_thw.prod(-1).cumsum(0)
"""
MODEL = """
from dataclasses import dataclass

import torch
from torch import nn

from toy_towers.vision_utils import get_bounds


@dataclass
class {kind}VisionConfig:
    patch_size: int = 2
    layers: int = 3


class {kind}PreTrainedModel(nn.Module): ...


class {kind}VisionModel({kind}PreTrainedModel):
    config: {kind}VisionConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.patch_embed = nn.Linear(12, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(config.layers))

    def forward(self, pixel_values, grid_thw, **kwargs):
        bounds = get_bounds(grid_thw, kwargs=kwargs)
        x = self.patch_embed(pixel_values)
        for layer in self.layers:
            {line}
        return x
"""
WAITING = "x = layer(x[: bounds.tolist()[-1]])"
RAISING = "raise RuntimeError('no such shape')"
DYING = "import os; os._exit(3)"


def release(folder: Path, version: str, **lines: str) -> Path:
    """The package in `folder`: a tower for each name, whose layers run this line. Returns the folder."""
    towers = {
        f"toy_towers/models/{name}/modeling_{name}.py": MODEL.format(kind=name.title(), line=line)
        for name, line in lines.items()
    }
    info = f"toy_towers-{version}.dist-info/METADATA"
    about = f"Metadata-Version: 2.1\nName: toy_towers\nVersion: {version}\n"
    files = {"toy_towers/__init__.py": "", "toy_towers/vision_utils.py": UTILITIES, info: about, **towers}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def wheel(folder: Path, version: str, broken: str = "", **lines: str) -> Path:
    """The same as a wheel that pip installs; `broken` is what importing it does."""
    files = release(folder / f"files-{version}", version, **lines)
    (files / "toy_towers/__init__.py").write_text(broken)
    info = f"toy_towers-{version}.dist-info"
    (files / info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    named = sorted(path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file())
    (files / info / "RECORD").write_text("".join(f"{name},,\n" for name in [*named, f"{info}/RECORD"]))
    made = folder / f"toy_towers-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as packed:
        for path in sorted(files.rglob("*.*")):
            packed.write(path, path.relative_to(files))
        for name in ("WHEEL", "RECORD", "METADATA"):
            packed.write(files / info / name, f"{info}/{name}")
    return made


def listed(*names: str) -> str:
    """The list of these towers."""
    return "".join(ENTRY.format(name=name, kind=name.title()) for name in names)
