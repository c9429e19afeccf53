"""A listed tower of a package, built without anything that its weights would be drawn by."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.surveying.listed import LACKS, Listed

ATTENTIONS = ("sdpa", "eager")
"""How it is to attend, as transformers calls it: the first that the tower has."""


def tower_class(listed: Listed) -> tuple[Any, Any]:
    """The class of the tower, and of its config. Raises UsageError where the package has none of them."""
    name, _, attribute = listed.tower.partition(":")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        its_own = f"{error.name}.".startswith(f"{name.partition('.')[0]}.")
        lacks = f"{LACKS} module" if its_own else "it needs a package that is not installed:"
        raise UsageError(f"{lacks} {error.name}") from None
    for wanted in (attribute, listed.config):
        if not hasattr(module, wanted):
            raise UsageError(f"{LACKS} {wanted} in {name}")
    return getattr(module, attribute), getattr(module, listed.config)


def build(device: CountingDevice, listed: Listed, dtype: torch.dtype) -> nn.Module:
    """The tower on the counting device, for inference, floats in `dtype` where the package has them so."""
    tower, config_class = tower_class(listed)
    if odd := [each for each in listed.settings if not hasattr(config_class(), each)]:
        raise UsageError(f"its {listed.config} has no setting {odd[0]!r}; mend settings in the list")
    refused: Exception | None = None
    for attention in ATTENTIONS:
        try:
            config = config_class(**listed.settings)
            config._attn_implementation = attention
            with _undrawn(tower), _floats(dtype):
                module: nn.Module = device.build(lambda: tower(config))  # noqa: B023  # called at once
                return module.requires_grad_(False)
        except (ValueError, ImportError) as error:  # transformers' way to say that it does not attend so
            refused = refused or error
    assert refused is not None
    raise refused


def depth_of(module: nn.Module) -> int | None:
    """Blocks in its longest list of them."""
    return max((len(each) for each in module.modules() if isinstance(each, nn.ModuleList)), default=None)


@contextmanager
def _undrawn(tower: Any) -> Iterator[None]:
    """Nothing draws weights inside: they have no values."""
    with ExitStack() as patches:
        patches.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in [each for each in vars(nn.init) if each.endswith("_") and not each.startswith("_")]:
            patches.enter_context(patch.object(nn.init, name, lambda tensor, *args, **kwargs: tensor))
        for name in ("init_weights", "initialize_weights", "tie_weights"):
            if hasattr(tower, name):
                patches.enter_context(patch.object(tower, name, lambda *args, **kwargs: None))
        yield


@contextmanager
def _floats(dtype: torch.dtype) -> Iterator[None]:
    """As a package loads a checkpoint: what says no dtype of its own has this one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
