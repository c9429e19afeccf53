"""Vision towers of serving engines, built alone: `vlbench run --tower vllm:MODEL`. vlbench imports none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

import vlbench
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.output import VisionOutput, with_features
from vlbench.implementations.peers.transformers import stages_of

PLATFORM = "CPU platform"
"""What runs of an engine: what it takes on a CPU. No count of it compares with one of a GPU's code."""


def require(package: str, series: str) -> str:
    """Package and version. Raises UsageError where it is not installed, or of another release than of this series."""
    remedy = f"pip install {package}=={series if series.count('.') == 2 else f'{series}.0'}"
    try:
        found = version(package)
    except PackageNotFoundError:
        raise vlbench.UsageError(f"{package} is not installed; {remedy}") from None
    if found != series and not found.startswith(f"{series}."):
        raise vlbench.UsageError(f"this is the adapter for {package} {series}, and {found} is installed; {remedy}")
    return f"{package} {found}"


@dataclass(frozen=True)
class Engine:
    """Makes an engine's towers, by the names of vlbench's models: what an entry point names."""

    package: str
    series: str
    """The release that the adapter is for; it reaches into what no release promises to keep."""
    towers: Mapping[str, tuple[str, str]]
    """By family of models: the module and the class of its tower."""
    ready: Callable[[], None]
    """Has in place what its layers ask for; called again, does nothing."""
    build: Callable[[VisionConfig, Mapping[str, Tensor], Any], nn.Module]
    """From a model, its weights and the tower's class to the tower on these weights."""
    arguments: Callable[[Tensor, Tensor], tuple[Any, ...]]
    """As `vlbench.Tower` has it."""
    platform: str = PLATFORM

    def __call__(self, model: str) -> vlbench.Tower:
        """The engine's tower of one of vlbench's models, on their weights.

        Raises UsageError without this release of the engine, and for a model of a family that it has no tower for.
        """
        known = [name for name, config in MODELS.items() if config.family in self.towers]
        if model not in known:
            raise vlbench.UsageError(f"the adapter builds no {model!r}; choose one of {', '.join(known)}")
        source, config = require(self.package, self.series), MODELS[model]

        def load(weights: Mapping[str, Tensor]) -> nn.Module:
            with ThreadPoolExecutor(1) as thread:  # errors that an engine keeps keep frames, which here hold weights
                theirs = thread.submit(self._class, config.family).result()
            with preparing(next(iter(weights.values())).dtype):
                return self.build(config, weights, theirs)

        def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
            from vlbench.towers.models import drawn

            return load(drawn(config, torch.device("cpu"), dtype)).to(device)  # its parameters are made on the host

        def tokens(returned: Tensor) -> Tensor | VisionOutput:
            first, *levels = returned.split(config.out_hidden_size, dim=-1)  # one beside the other in the last dim
            return with_features(first, levels)

        return vlbench.Tower(
            make, load, model, self.arguments, tokens, stages_of(config, compiled=False),
            source=f"{source}, {self.platform}, without its kernels", platform=self.platform,
        )  # fmt: skip

    def _class(self, family: str) -> Any:
        """The class of a tower, imported once the engine is ready."""
        with preparing(torch.float32):
            self.ready()
            module, name = self.towers[family]
            return getattr(import_module(module), name)


@contextmanager
def preparing(dtype: torch.dtype) -> Iterator[None]:
    """Within it an engine is imported and builds: it sees no GPU, and makes parameters on the host in this dtype.

    What it asks of the machine it asks once and keeps, so that it must not see the GPU that is claimed for a count.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # as its loader does: layers ask for it
    try:
        with patch.object(torch.cuda, "is_available", lambda: False), torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def check_loaded(engine: Engine, made: nn.Module, loaded: set[str]) -> None:
    """Raises UsageError for a parameter that no weight went into."""
    if lacking := sorted(dict(made.named_parameters()).keys() - loaded):
        told = f"{engine.package} loaded no {lacking[0]!r}"
        raise vlbench.UsageError(f"{told}; this adapter is for {engine.package} {engine.series}")
