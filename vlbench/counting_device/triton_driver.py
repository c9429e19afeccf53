"""What `triton.runtime.driver.active` says inside the scope: the answers of one GPU of the chosen profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from vlbench.counting_device.answers import listed
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import CUDA

_NAME = "triton.runtime.driver.active"


@contextmanager
def triton_answers(scope: Scope) -> Iterator[None]:
    """Within this block Triton's active driver is one that answers for the scope's profile and launches nothing."""
    driver: Any = import_module("triton.runtime.driver").driver
    with patch.dict(vars(driver)):  # which driver is active, and which was found to be the default one
        driver.set_active(_driver(scope))
        yield


def _driver(scope: Scope) -> SimpleNamespace:
    profile = scope.profile
    target: Any = import_module("triton.backends.compiler").GPUTarget
    properties = {
        "max_shared_mem": profile.shared_memory_per_block_optin,
        "max_num_regs": profile.regs_per_multiprocessor,
        "multiprocessor_count": profile.multi_processor_count,
        "warpSize": profile.warp_size,
    }
    answers: dict[str, Callable[..., object]] = {
        "get_current_target": lambda: target("cuda", profile.major * 10 + profile.minor, profile.warp_size),
        "get_device_capability": lambda device=None: profile.capability,
        "get_current_device": lambda: 0,
        "get_current_stream": lambda device=None: 0,
        "get_active_torch_device": lambda: CUDA,
    }
    return SimpleNamespace(
        **{name: listed(scope, f"{_NAME}.{name}", answer) for name, answer in answers.items()},
        utils=SimpleNamespace(
            get_device_properties=listed(
                scope, f"{_NAME}.utils.get_device_properties", lambda device=0: dict(properties)
            )
        ),
        set_current_device=lambda device: None,
        get_device_interface=lambda: torch.cuda,
    )
