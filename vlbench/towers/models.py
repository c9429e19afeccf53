"""Models by name, and which one a kind of device gets by default."""

from __future__ import annotations

from difflib import get_close_matches

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, VisionConfig

DEFAULTS = {"cpu": ("qwen2.5-vl-tiny", "float32"), "cuda": ("qwen2.5-vl-7b", "bfloat16")}
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
