"""Stages of a tower in files, one .safetensors a dtype, as any language can write them.

A file has the tensors of docs/divergence.md by the names of their stages, and beside them `pixels` [N, patch_dim] and
`grid_thw` [items, 3] that the tower was fed. `order` [N], where it is there, has of each row which patch of the input
it is; without it rows stand in the order of the input.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vlbench.diverging.rows import to_input
from vlbench.diverging.tap import Stages
from vlbench.errors import IncomparableError, UsageError, not_written
from vlbench.record.schema import Dtype
from vlbench.trial.difference import dtype_name
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.untrusted.limits import Limit

INPUTS = ("pixels", "grid_thw")
ORDER = "order"
WEIGHTS = "weights"
"""The key of the metadata that has the digest of the weights."""
WRITTEN_BY = "--dump writes such folders"


@dataclass(frozen=True)
class Dump:
    """What a folder holds."""

    stages: Mapping[str, Stages]
    """By dtype."""
    pixels: Tensor
    grid_thw: Tensor
    weights: str
    """Digest of the weights; "" where it does not say."""

    @property
    def dtype(self) -> str:
        """The dtype below float32, where it has one."""
        return next((name for name in self.stages if name != "float32"), "float32")


def write(folder: Path, dtype: str, stages: Stages, pixels: Tensor, grid_thw: Tensor, about: dict[str, str]) -> Path:
    """The file of a dtype. Raises UsageError where it cannot be written."""
    path, tensors = folder / f"{dtype}.safetensors", {**stages, "pixels": pixels, "grid_thw": grid_thw}
    draft = path.with_suffix(".draft")
    try:
        folder.mkdir(exist_ok=True)
        save_file({name: each.cpu().contiguous().clone() for name, each in tensors.items()}, draft, about)
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise not_written(f"--dump {path}", _of_system(error)) from None
    return path


def _of_system(error: Exception) -> OSError:
    """What the system said, which safetensors tells in its sentence alone: "... (os error 28)"."""
    number = int(found[1]) if (found := re.search(r"\(os error (\d+)\)", str(error))) else 0
    return error if isinstance(error, OSError) else OSError(number, os.strerror(number) if number else str(error))


def read(folder: Path) -> Dump:
    """Raises UsageError for a folder without a dump, a damaged file, and one that lacks what was fed in."""
    check_checkpoint(folder)
    files = {name: folder / f"{name}.safetensors" for name in get_args(Dtype)}
    files = {name: path for name, path in files.items() if path.is_file()}
    if not files:
        names = " or ".join(f"{name}.safetensors" for name in get_args(Dtype))
        raise UsageError(f"--against {folder}: it has no {names}; {WRITTEN_BY}")
    if len(files.keys() - {"float32"}) > 1:
        raise UsageError(f"--against {folder}: it has bfloat16 and float16; keep one of them")
    found = {name: _read(path, name) for name, path in files.items()}
    (first, (tensors, weights)), *others = found.items()
    for name, (more, also) in others:
        if not torch.equal(more["grid_thw"], tensors["grid_thw"]) or also != weights:
            raise IncomparableError(f"--against {folder}: {name} and {first} have other grids or weights; dump it anew")
    stages = {name: {key: each for key, each in read.items() if key not in INPUTS} for name, (read, _) in found.items()}
    pixels = next((each["pixels"] for name, (each, _) in found.items() if name != "float32"), tensors["pixels"])
    return Dump(stages, pixels, tensors["grid_thw"], weights)


def _read(path: Path, dtype: str) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file with rows in the order of the input, and the digest of the weights."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a file handle)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: damaged or no .safetensors ({error}); dump it anew") from None
    for name in INPUTS:
        if name not in tensors:
            raise UsageError(f"{path}: it lacks {name!r}, what the tower was fed; copy it from a dump of --dump")
    for name, each in tensors.items():
        whole = not (each.is_floating_point() or each.is_complex() or each.dtype is torch.bool)
        if name in ("grid_thw", ORDER) or name.endswith(".segments"):
            if not whole:
                raise UsageError(f"{path}: {name} is of {dtype_name(each.dtype)}; give whole numbers")
            tensors[name] = each.long()
        elif not each.is_floating_point():
            raise UsageError(f"{path}: {name} is of {dtype_name(each.dtype)}; give floating-point numbers")
    grids, pixels = tensors["grid_thw"], tensors["pixels"]
    if grids.ndim != 2 or grids.shape[1] != 3 or not len(grids) or (grids < 1).any():
        raise UsageError(f"{path}: grid_thw is {list(grids.shape)}; give whole numbers [items, 3], each above 0")
    patches = sum(map(prod, grids.tolist()))  # as Python's integers, which do not wrap around
    Limit.PATCHES.check(patches, f"{path}: grid_thw", "dump a smaller call")
    if pixels.ndim != 2 or len(pixels) != patches:
        raise UsageError(f"{path}: pixels are {list(pixels.shape)}, and its grids have {patches} patches")
    for name, rows in tensors.items():
        if name not in (*INPUTS, ORDER) and rows.ndim != (1 if name.endswith(".segments") else 2):
            raise UsageError(f"{path}: {name} is {list(rows.shape)}; give [rows, width], of segments [rows]")
    order = tensors.pop(ORDER, None)
    if order is not None and order.flatten().sort().values.tolist() != list(range(patches)):
        raise UsageError(f"{path}: {ORDER} does not have each patch from 0 to {patches - 1} once")
    ordered = {name: each if name in INPUTS else to_input(each, order) for name, each in tensors.items()}
    return ordered, about.get(WEIGHTS, "")
