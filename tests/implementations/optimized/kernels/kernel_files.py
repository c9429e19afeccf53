"""The files of the kernels, with or without a change of their text, interpreted on the host or compiled for a GPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.experimental.gluon  # before `interpreted`: its import wants what that replaces
import triton.language as tl
from torch import Tensor
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.interpreter import InterpretedFunction, InterpreterBuilder
from triton.runtime.jit import JITFunction

from vlbench.implementations.optimized.kernels import launch as launching

JIT = Path(launching.__file__).parent / "jit"
Edit = Callable[[str], str]


def sources() -> dict[str, str]:
    """The text of each file of kernels."""
    return {path.stem: path.read_text() for path in sorted(JIT.glob("*.py")) if path.stem != "__init__"}


def as_it_is(source: str) -> str:
    return source


def load(file: str, folder: Path, edit: Edit, *, interpret: bool) -> ModuleType:
    """A file of kernels after an edit, which must change something unless it is `as_it_is`."""
    text = edit(sources()[file])
    assert edit is as_it_is or text != sources()[file]
    path = folder / f"{file}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(f"{file}_of_a_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with knobs.runtime.scope():
        knobs.runtime.interpret = interpret
        spec.loader.exec_module(module)
    return module


@dataclass
class Watched:
    """What the programs of interpreted kernels load and store."""

    moved: int = 0
    """Bytes."""
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Where the tensors lie that the kernel was given."""

    def see(self, pointers: Any, mask: Any) -> None:
        """Of one access, where the mask lets it through: counted, and inside a tensor."""
        size = pointers.get_element_ty().primitive_bitwidth // 8
        places = pointers.data[np.broadcast_to(mask.data, pointers.data.shape)]
        self.moved += places.size * size
        inside = [(places >= start) & (places + size <= stop) for start, stop in self.memory]
        assert np.logical_or.reduce(inside).all(), "an access outside of all tensors"


PATCHED = (tl, tl.core, tl.math, tl.tensor, tl.dtype, tl.core.tensor_descriptor_base)
"""What the interpreter replaces parts of. It leaves some replaced, and what is compiled next would meet them."""


@contextmanager
def put_back() -> Iterator[None]:
    """Behind this block, the language of Triton is what it was."""
    before = [(owner, dict(vars(owner))) for owner in PATCHED]
    try:
        yield
    finally:
        for owner, own in before:
            for name, value in list(vars(owner).items()):
                if name not in own:
                    delattr(owner, name)
                elif value is not own[name]:
                    setattr(owner, name, own[name])


@contextmanager
def interpreted(monkeypatch: pytest.MonkeyPatch, folder: Path, edit: Edit = as_it_is) -> Iterator[Watched]:
    """Within this block kernels are launched on the host, and what they allocate holds NaN."""
    watched = Watched()
    builder, new_empty = InterpreterBuilder, Tensor.new_empty

    def kernel(name: str, flag: str) -> Any:
        file, _, function = name.partition(".")
        found = getattr(load(file, folder, edit, interpret=True), function)

        def run(*arguments: Any, grid: Any, **options: Any) -> None:
            tensors = [each for each in arguments if isinstance(each, Tensor)]
            watched.memory = [(each.data_ptr(), each.data_ptr() + each.nbytes) for each in tensors]
            found[grid](*arguments, **options)

        return Launched(run)

    def load_seen(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        watched.see(pointers, mask)
        return masked_load(self, pointers, mask, *rest)

    def store_seen(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
        watched.see(pointers, mask)
        return masked_store(self, pointers, value, mask, *rest)

    def poisoned(*args: Any, **kwargs: Any) -> Tensor:
        made = new_empty(*args, **kwargs)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    masked_load, masked_store = builder.create_masked_load, builder.create_masked_store
    with put_back(), monkeypatch.context() as patches:
        patches.setattr(launching, "kernel", kernel)
        patches.setattr(builder, "create_masked_load", load_seen)
        patches.setattr(builder, "create_masked_store", store_seen)
        patches.setattr(Tensor, "new_empty", poisoned)
        for module in (tl, tl.standard):  # compiled where Triton was imported without being told to interpret
            for name, value in list(vars(module).items()):
                if isinstance(value, JITFunction):
                    patches.setattr(module, name, InterpretedFunction(value.fn))
        yield watched


class Launched:
    """`kernel[grid](...)`."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self.run = run

    def __getitem__(self, grid: Any) -> Callable[..., Any]:
        return lambda *arguments, **options: self.run(*arguments, grid=grid, **options)


@contextmanager
def compiled(monkeypatch: pytest.MonkeyPatch, folder: Path, arch: int, edit: Edit = as_it_is) -> Iterator[list[Any]]:
    """Within this block kernels are compiled for sm_`arch` as a launch would have it, and none is launched."""
    found: list[Any] = []

    def kernel(name: str, flag: str) -> Any:
        file, _, function = name.partition(".")
        jitted = getattr(load(file, folder, edit, interpret=False), function)
        return Launched(lambda *args, grid, **options: found.append(jitted.warmup(*args, grid=grid, **options)))

    target = GPUTarget("cuda", arch, 32)
    answers = SimpleNamespace(
        get_current_target=lambda: target, get_current_device=lambda: arch, get_current_stream=lambda device: 0
    )
    with monkeypatch.context() as patches, knobs.cache.scope(), knobs.nvidia.scope():
        knobs.cache.dir = str(folder / "cache")
        knobs.nvidia.dump_ptxas_log = True
        patches.setattr(launching, "kernel", kernel)
        for name, value in list(vars(driver).items()):  # whatever is active is active again afterwards
            patches.setitem(vars(driver), name, value)
        driver.set_active(answers)
        yield found


VERSION = triton.__version__
