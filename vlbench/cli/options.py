"""Options that several commands share, and what they resolve to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.implementations.config import VisionConfig
    from vlbench.record.schema import Device, Dtype
    from vlbench.towers.variants import Variant

DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
}


def complete_models(incomplete: str) -> list[str]:
    from vlbench.implementations.config import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def _variants(incomplete: str) -> list[str]:
    from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
    from vlbench.implementations.peers import PEERS

    done, plus, last = incomplete.rpartition("+")
    alone = () if plus else PEERS
    return [f"{done}{plus}{name}" for name in (*PRESETS, *OPTIMIZATIONS, *alone) if name.startswith(last)]


Model = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_models, help="Model size; see `vlbench list models`. [tiny on a CPU, 7B on CUDA]"
    ),
]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant", "--with", "--preset", autocompletion=_variants,
        help="A flag, a preset, several joined by +, a peer such as hf-sdpa, or package.module:factory; repeatable, "
        "each is a row. [every flag and preset]",
    ),
]  # fmt: skip
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: CUDA where there is one.")]
DtypeOption = Annotated[
    str | None, typer.Option("--dtype", help="float32, bfloat16 or float16. [float32 on a CPU, bfloat16 on CUDA]")
]
Seed = Annotated[int, typer.Option(min=0, help="Seeds weights, inputs and the order of rounds.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads. One halves the noise of paired rounds.")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Folder of a Hugging Face checkpoint; only its vision tensors are read. [random weights]"),
]
Grids = Annotated[
    list[str] | None,
    typer.Option("--grid", metavar="TxHxW", help="Or a grid in patches, such as 1x36x36; repeatable."),
]
Profile = Annotated[str, typer.Option("--as", help="The GPU to answer for: sm_75, 80, 86, 89, 90, 100.")]
DtypeName = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]


@dataclass(frozen=True)
class Target:
    """Model, device and dtype that the options ask for, and the variants to look at."""

    config: VisionConfig
    device: Device
    dtype: Dtype
    variants: list[Variant]
    left_out: dict[str, str]
    """Flags that the default matrix leaves out, and why."""
    default_model: bool
    chosen: bool
    """Did the user name variants?"""

    @property
    def model(self) -> str:
        return self.config.name

    @property
    def own_weights(self) -> str:
        return "random"


def resolve(model: str | None, device: str, dtype: str | None, variants: list[str] | None) -> Target:
    """Raises UsageError for a model, device, dtype or variant that does not exist or cannot be had."""
    from vlbench.towers.models import DEFAULTS, find_model
    from vlbench.towers.variants import default_variants, parse_variant, unique

    kind = find_device(device)
    default_model, default_dtype = DEFAULTS[kind]
    config = find_model(model or default_model)
    chosen_dtype = find_dtype(dtype or default_dtype)
    rows, left_out = default_variants(config, kind)
    if variants:
        rows, left_out = [parse_variant(text, config, kind) for text in variants], {}
    return Target(config, kind, chosen_dtype, unique(rows), left_out, model is None, bool(variants))


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
