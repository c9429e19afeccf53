"""Models, devices and dtypes by name, which model a kind of device gets by default, and weights for it."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vlbench.errors import UsageError, check_choice
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.record.schema import Device, Dtype
from vlbench.untrusted.checkpoints import check_checkpoint

if TYPE_CHECKING:
    import torch

    from vlbench.implementations.weights import SharedTensors

DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
}
DEFAULTS: dict[Device, tuple[str, Dtype]] = {
    "cpu": ("qwen2.5-vl-tiny", "float32"),
    "cuda": ("qwen2.5-vl-7b", "bfloat16"),
}
"""Model and dtype by kind of device. On a CPU a full tower's time is in its matrix products, which no flag changes."""
SEED = 0
"""Of weights, and before each call of a factory: whatever it draws, it draws again."""
WHY_TINY = (
    "On a CPU the default model is tiny, because matrix products fill the time of a full one and hide what the flags "
    "save; CPU milliseconds do not rank flags for a GPU."
)


def find_model(name: str, named_by: str = "--model", others: str = "") -> VisionConfig:
    """The pinned configuration called `name`; UsageError with the closest name when there is none."""
    if name not in MODELS:
        as_published = name.rpartition("/")[2].lower().removesuffix("-instruct")
        close = [as_published] if as_published in MODELS else get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the models are {', '.join(MODELS)}"
        raise UsageError(f"{named_by}: there is no model {name!r}; {hint}{others}")
    return MODELS[name]


def smallest_of(family: str) -> str:
    """The smallest of the models of a family."""
    return next(name for name, each in MODELS.items() if each.family == family and name.endswith("-tiny"))


def checkpoint_model(folder: Path, named: str | None) -> VisionConfig | None:
    """The tower that a checkpoint's own config.json describes, from then on among our models; None without the file.

    `named` only checks it: all but the width of the language model has to be as that model's. Raises UsageError.
    """
    from vlbench.implementations.checkpoint_config import CheckpointError, difference, read_config

    check_checkpoint(folder)
    try:
        found = read_config(folder)
        if found and named and named != found.name and (differs := difference(folder, find_model(named))):
            raise UsageError(f"--model: {differs}; leave it out to take the checkpoint's own")
    except CheckpointError as error:
        raise UsageError(f"--weights: {error}") from None
    if found:
        MODELS.setdefault(found.name, found)
        if MODELS[found.name] != found:
            raise UsageError(f"--weights {folder}: another model is called {found.name} here; rename the folder")
    return found


def find_dtype(name: str) -> Dtype:
    """Raises UsageError for a dtype that is none."""
    if name not in DTYPES:
        raise UsageError(f"--dtype: {name!r} is not one of float32, bfloat16, float16; choose one of them")
    return cast("Dtype", DTYPES[name])


def find_device(name: str, *, elsewhere: bool = False) -> Device:
    """Raises UsageError for a device that is none or is not there; what is named may be `elsewhere`."""
    import torch

    check_choice("--device", name, ("auto", "cpu", "cuda"))
    if elsewhere and name == "cuda":
        return "cuda"
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; leave the option out to measure on the CPU")
    return "cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu"


def drawn(config: VisionConfig, device: torch.device, dtype: torch.dtype) -> SharedTensors:
    """Random weights of one of our models; on `meta`, their shapes alone."""
    import torch

    from vlbench.implementations.weights import SharedTensors, parameter_shapes, random_weights

    if device.type == "meta":
        shapes = parameter_shapes(config)
        return SharedTensors({key: torch.empty(shape, dtype=dtype, device=device) for key, shape in shapes.items()})
    tensors = random_weights(config, SEED, dtype)
    return SharedTensors({key: tensor.to(device) for key, tensor in tensors.items()})
