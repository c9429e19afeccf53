"""Triton: its launches, one operation each, and what its driver answers.

A kernel writes where it is told to, so only integers that it writes are at stake.

Its arguments are bound and its grid is worked out as Triton would, because both may read values back; then nothing is
compiled, launched or tuned. An autotuned kernel takes its first configuration.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from operator import index
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from vlbench.counting_device.answers import listed
from vlbench.counting_device.declarations import declaration
from vlbench.counting_device.interpret import count_opaque, is_ours
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import CUDA, DeviceTensor
from vlbench.counting_device.where import cause_line
from vlbench.errors import UsageError

_DRIVER = "triton.runtime.driver.active"
_signature = cache(signature)


@contextmanager
def triton_launches(scope: Scope) -> Iterator[None]:
    """Within this block Triton kernels are counted instead of launched, and its driver answers for the profile."""
    if find_spec("triton") is None:
        yield
        return
    compiled: Any = import_module("triton.runtime.jit").JITFunction
    interpreted: Any = import_module("triton.runtime.interpreter").InterpretedFunction
    tuner: Any = import_module("triton.runtime.autotuner").Autotuner
    with ExitStack() as patches:
        patches.enter_context(_driver_answers(scope))
        patches.enter_context(patch.object(compiled, "run", _counted(scope)))
        patches.enter_context(patch.object(interpreted, "run", _counted(scope, on_host=interpreted.run)))
        patches.enter_context(patch.object(tuner, "run", _untuned))
        # `torch.library.wrap_triton` then returns the kernel itself, as it does where torch does not trace.
        patches.enter_context(patch.object(torch._library.triton, "wrap_triton_enabled", SimpleNamespace(value=False)))
        yield


def _untuned(tuner: Any, *args: Any, **kwargs: Any) -> Any:
    config = tuner.configs[0]
    options = config.all_kwargs()
    if config.pre_hook is not None:  # runs before every launch, not only while tuning
        config.pre_hook({**dict(zip(tuner.arg_names, args, strict=False)), **kwargs, **options})
    return tuner.fn.run(*args, **kwargs, **options)


def _counted(scope: Scope, on_host: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """What stands for `run` of a kernel; `on_host` runs those whose tensors are all on the host, where that works."""

    def run(kernel: Any, *args: Any, grid: Any, warmup: bool = False, **options: Any) -> Any:
        if warmup:
            return None
        if on_host and not any(isinstance(value, DeviceTensor) for value in _tensors((*args, *options.values()))):
            return on_host(kernel, *args, grid=grid, warmup=False, **options)
        with scope.lock:
            _launch(scope, kernel, grid, args, options)
        return None

    return run


def _launch(scope: Scope, kernel: Any, grid: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    name = f"triton::{kernel.fn.__name__}"
    parameters = _signature(kernel.fn).parameters
    bound = _signature(kernel.fn).bind(*args, **{key: options[key] for key in options if key in parameters})
    bound.apply_defaults()
    tensors = {argument: _tensors(value) for argument, value in bound.arguments.items()}
    if any(tensor.device.type == "meta" for tensor in _tensors(list(tensors.values()))):
        return  # within a fake kernel, which only wants shapes
    if not scope.ghost:
        raise UsageError(
            f"{name} at {cause_line()} cannot be computed without a GPU; count it with mode='ghost', or put it behind "
            "an operator of torch.library with a CPU kernel, and declare that operator."
        )
    for argument, operands in tensors.items():
        # A GPU reads its own memory and what is pinned.
        if not all(is_ours(scope, operand, name) or operand in scope.pinned for operand in operands):
            raise ValueError(f"{name} cannot read its argument {argument!r}, which is in the host's memory")
    if 0 in [index(size) for size in (grid(bound.arguments) if callable(grid) else grid)]:
        return  # Triton does not launch an empty grid
    declared = declaration(name)
    writes = declared.writes if declared else None
    for argument, operands in tensors.items():
        for operand in operands:
            if isinstance(operand, DeviceTensor) and (writes is None or argument in writes):
                operand.block.known = False
                operand.block.version += 1
                if writes is None and not operand.is_floating_point():
                    operand.block.writer = name
    count_opaque(scope, name, _tensors(list(tensors.values())), described=False)


def _tensors(value: Any) -> list[Tensor]:
    """All tensors in an argument: also in tuples, and those that Triton's descriptors and `reinterpret` hold."""
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    held = getattr(value, "base", value)
    return [held] if isinstance(held, Tensor) else []


@contextmanager
def _driver_answers(scope: Scope) -> Iterator[None]:
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
        **{name: listed(scope, f"{_DRIVER}.{name}", answer) for name, answer in answers.items()},
        utils=SimpleNamespace(
            get_device_properties=listed(
                scope, f"{_DRIVER}.utils.get_device_properties", lambda device=0: dict(properties)
            )
        ),
        set_current_device=lambda device: None,
        get_device_interface=lambda: torch.cuda,
    )
