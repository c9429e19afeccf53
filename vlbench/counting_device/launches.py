"""Triton launches: one operation each. A kernel writes where it is told to, so only integers it writes are at stake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from vlbench.counting_device.interpret import tensors_in
from vlbench.counting_device.opaque import count_opaque, declaration
from vlbench.counting_device.scope import Scope
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import cause_line
from vlbench.errors import UsageError


@contextmanager
def triton_launches(scope: Scope) -> Iterator[None]:
    """Within this block Triton kernels on device tensors are counted instead of launched, and nothing is tuned."""
    if find_spec("triton") is None:
        yield
        return
    jit_function: Any = import_module("triton.runtime.jit").JITFunction
    autotuner: Any = import_module("triton.runtime.autotuner").Autotuner
    launch, tune = jit_function.run, autotuner.run

    def counted(kernel: Any, *args: Any, warmup: bool = False, **kwargs: Any) -> Any:
        if not _on_device(args, kwargs):
            return launch(kernel, *args, warmup=warmup, **kwargs)
        if not warmup:
            with scope.lock:
                _launch(scope, kernel, args, kwargs)
        return None

    def untuned(tuner: Any, *args: Any, **kwargs: Any) -> Any:
        return tuner.fn.run(*args, **kwargs) if _on_device(args, kwargs) else tune(tuner, *args, **kwargs)

    with ExitStack() as patches:
        patches.enter_context(patch.object(jit_function, "run", counted))
        patches.enter_context(patch.object(autotuner, "run", untuned))
        yield


def _on_device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(tensor, DeviceTensor) for tensor in tensors_in(args, kwargs))


def _launch(scope: Scope, kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    name = f"triton::{kernel.fn.__name__}"
    if not scope.ghost:
        raise UsageError(
            f"{name} at {cause_line()} cannot be computed without a GPU; put it behind an operator of torch.library "
            "with a CPU implementation, or count it with mode='ghost'."
        )
    declared = declaration(name)
    for argument, value in {**dict(zip(kernel.arg_names, args, strict=False)), **kwargs}.items():
        if isinstance(value, DeviceTensor) and (declared is None or argument in declared.writes):
            value.block.known = False
    count_opaque(scope, name, args)
