"""Models, devices and dtypes by name, and which model a kind of device gets by default."""

from __future__ import annotations

from difflib import get_close_matches
from typing import cast

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.record.schema import Device, Dtype

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

WHY_TINY = (
    "On a CPU the default model is tiny, because matrix products fill the time of a full one and hide what the flags "
    "save; CPU milliseconds do not rank flags for a GPU."
)


def find_model(name: str) -> VisionConfig:
    """The pinned configuration called `name`; UsageError with the closest name when there is none."""
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the models are {', '.join(MODELS)}"
        raise UsageError(f"--model: there is no model {name!r}; {hint}")
    return MODELS[name]


def find_dtype(name: str) -> Dtype:
    """Raises UsageError for a dtype that is none."""
    if name not in DTYPES:
        raise UsageError(f"--dtype: {name!r} is not one of float32, bfloat16, float16; choose one of them")
    return cast("Dtype", DTYPES[name])


def find_device(name: str) -> Device:
    """Raises UsageError for a device that is none or is not there."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device: {name!r} is not one of auto, cpu, cuda; choose one of them")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; leave the option out to measure on the CPU")
    return "cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu"
