"""How torch computes fp32: with TF32 or bf16 inside, or as IEEE says. Its switches, turned and told.

torch has a switch for each library and kind of operation. One that nobody turned inherits from the library's, and that
one from `torch.backends.fp32_precision`; convolutions of cuDNN have a default of their own, which is TF32. Older
switches stand beside these, and torch raises where it asks them and they disagree with the newer: `torch.compile` does.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from vlbench.errors import UsageError

IEEE = "ieee"
LIBRARIES = ("cuda.matmul", "cudnn", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
OVERRIDE = "NVIDIA_TF32_OVERRIDE"
"""The variable by which CUDA's libraries take TF32 or not, whatever a program says."""


def precisions() -> dict[str, str]:
    """What holds for each library and kind of operation: "ieee", "tf32", "bf16", or "none" where torch leaves it open.

    Imports torch.
    """
    return {name: owner.fp32_precision for name, owner in _owners().items()}


def turn_tf32_off() -> None:
    """fp32 is fp32 from now on, whatever anyone has set before. It takes microseconds where nobody has.

    Raises UsageError where it cannot be had: by what CUDA's libraries are told, or with a torch that does not obey.
    """
    import torch

    if os.environ.get(OVERRIDE, "0") != "0" and torch.cuda.is_available():
        raise UsageError(f"{OVERRIDE} makes CUDA's libraries compute fp32 in TF32, whatever torch says; unset it")
    if set(precisions().values()) == {IEEE}:
        return
    _turn("highest", dict.fromkeys(_owners(), IEEE), cudnn=False)
    if strange := {name: found for name, found in precisions().items() if found != IEEE}:
        told = ", ".join(f"{name} in {found}" for name, found in strange.items())
        raise UsageError(f"torch {torch.__version__} computes fp32 of {told}, though it was told not to; take another")


@contextmanager
def tf32_turned_off() -> Iterator[None]:
    """The same within this block; afterwards as it was."""
    import torch

    found, older, cudnn = precisions(), _known(torch.get_float32_matmul_precision), _known(_cudnn_allows)
    turn_tf32_off()
    try:
        yield
    finally:
        _turn(older or "highest", found, cudnn=bool(cudnn))


def _turn(older: str, wanted: dict[str, str], *, cudnn: bool) -> None:
    """The older switches first, as these turn the newer ones too."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older switches: what torch itself asks has to agree
        torch.set_float32_matmul_precision(older)
        torch.backends.cudnn.allow_tf32 = cudnn
    for name, owner in _owners().items():
        owner.fp32_precision = wanted[name]


def _owners() -> dict[str, Any]:
    import torch

    if not hasattr(torch.backends, "fp32_precision"):
        raise UsageError(f"torch {torch.__version__} has no torch.backends.fp32_precision; install 2.11 or later")
    return {"all": torch.backends} | {name: attrgetter(name)(torch.backends) for name in LIBRARIES}


def _cudnn_allows() -> bool:
    import torch

    return torch.backends.cudnn.allow_tf32


def _known(older: Any) -> Any:
    """What an older switch says; None where the newer ones were turned alone, so that torch raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return older()
    except RuntimeError:
        return None
