"""A device that says it is CUDA and counts what a GPU would be asked to do."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn

from vlbench.counting_device import indexing, transfers  # noqa: F401  # they register their operations
from vlbench.counting_device.answers import cuda_answers
from vlbench.counting_device.attention import whole_on_cuda
from vlbench.counting_device.backends import torchs_order
from vlbench.counting_device.capture import Region, Watch
from vlbench.counting_device.counter import Counter, questions
from vlbench.counting_device.evaluate import shapes_of_floats
from vlbench.counting_device.guard import cuda_device_guard
from vlbench.counting_device.happening import Listener
from vlbench.counting_device.interpret import counting, interpret, to_device
from vlbench.counting_device.launches import triton_launches
from vlbench.counting_device.profiles import profile as find_profile
from vlbench.counting_device.scope import Mode, Scope, install
from vlbench.counting_device.tensor import CUDA, DeviceTensor
from vlbench.errors import UsageError
from vlbench.record.counts import Question

_Module = TypeVar("_Module", bound=nn.Module)


class CountingDevice:
    """Open it with `with`; inside, "cuda" is this device, in this thread and in threads started inside.

    mode: "shadow" computes every operation on the CPU, with the bits of a plain CPU run; "ghost" computes integers
    and booleans and knows only the shapes of floats, so a tower of any size is counted without its weights.
    profile: the GPU it claims to be, such as "sm_90" (see `profiles`).
    cudnn: the cuDNN it claims to have, such as "9.15.1"; what is installed makes no difference. [the profile's]

        with CountingDevice("ghost", "sm_90") as device:
            tower = device.build(lambda: make_tower())
            pixels, grid = device.pixels((1296, 1176), torch.bfloat16), device.upload(grid_thw)
            with device.count() as counter:
                tower(pixels, grid)
        counter.report.total.host_syncs

    One at a time in a process: torch has one set of hooks. All of them are taken back at the end of the block.
    """

    def __init__(self, mode: Mode = "ghost", profile: str = "sm_90", cudnn: str = "") -> None:
        if mode not in ("shadow", "ghost"):
            raise UsageError(f"mode {mode!r} of the counting device does not exist; choose 'shadow' or 'ghost'.")
        self.mode: Mode = mode
        self.profile = profile
        self._scope = Scope(mode, find_profile(profile, cudnn), interpret)
        self._hooks = ExitStack()

    def __enter__(self) -> CountingDevice:
        install(self._scope)
        with ExitStack() as hooks:
            hooks.callback(install, None)
            hooks.enter_context(cuda_device_guard())
            hooks.enter_context(cuda_answers(self._scope))
            hooks.enter_context(torchs_order(self._scope.profile))
            hooks.enter_context(whole_on_cuda())
            hooks.enter_context(triton_launches(self._scope))
            # `torch.tensor(data, device="cuda")` builds on the host and then uploads, so that the upload is seen.
            hooks.enter_context(_switched_on(torch._C._only_lift_cpu_tensors, torch._C._set_only_lift_cpu_tensors))
            # `Module.to` swaps parameters with their device tensors: it would only copy the outside of a wrapper.
            swaps = torch.__future__
            hooks.enter_context(
                _switched_on(swaps.get_swap_module_params_on_conversion, swaps.set_swap_module_params_on_conversion)
            )
            hooks.enter_context(_also_in_new_threads())
            hooks.enter_context(counting())
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    @property
    def branch(self) -> bool:
        """Which way code goes that branches on floats where no ordinary input decides; listed as an assumption."""
        return self._scope.branch

    @branch.setter
    def branch(self, way: bool) -> None:
        self._scope.branch = way

    # Putting things on the device: not counted ---------------------------------------------------------------------

    def build(self, make: Callable[[], _Module]) -> _Module:
        """The module that `make` returns, on the device, for inference.

        In ghost mode it is made on the device from the start, so its weights never take memory; in shadow mode it is
        made on the CPU, as without the counting device, and moved.
        """
        if self.mode == "shadow":
            return make().to(CUDA).eval()
        with self.building():
            return make().to(CUDA).eval()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Ghost mode: what the block makes, it makes on the device, and small floats have values there."""
        self._scope.building = True
        try:
            with CUDA:
                yield
        finally:
            self._scope.building = False

    def upload(self, tensor: Tensor) -> Tensor:
        """A copy of a host tensor on the device."""
        if isinstance(tensor, DeviceTensor):
            return tensor
        if tensor.device.type == "meta" and self.mode == "shadow":
            raise UsageError("A meta tensor has no values to compute with; upload a CPU tensor, or use mode='ghost'.")
        host = tensor.detach().clone()
        return to_device(self._scope, shapes_of_floats(self._scope, host) if self._scope.ghost else host)

    def download(self, tensor: Tensor) -> Tensor:
        """A copy of a device tensor on the host; in ghost mode a float comes back as a meta tensor."""
        return tensor.host.clone() if isinstance(tensor, DeviceTensor) else tensor

    def pixels(self, shape: tuple[int, ...], dtype: torch.dtype, *, seed: int = 0) -> Tensor:
        """Standard normal input on the device; without values, whatever its size, in ghost mode."""
        if self._scope.ghost:
            return to_device(self._scope, torch.empty(shape, dtype=dtype, device="meta"))
        generator = torch.Generator().manual_seed(seed)
        return self.upload(torch.randn(shape, generator=generator).to(dtype))

    # Counting ------------------------------------------------------------------------------------------------------

    @contextmanager
    def count(self, *listeners: Listener) -> Iterator[Counter]:
        """Count what the block asks of the device; the counter's `report` is there when the block has ended.

        Further `listeners` hear of each event in its order, as the counter does: see `ordered.OrderedRecord`.
        """
        if self._scope.counter is not None:
            raise UsageError("count() is running already on this counting device; end that block first.")
        counter = self._scope.counter = Counter(self._scope.memory.live_bytes)
        self._scope.listeners = (counter, *listeners)
        counter.opened_in = sys._getframe(2).f_code
        counter.not_measured |= self._scope.not_measured_here
        try:
            yield counter
        finally:
            self._scope.counter, self._scope.listeners = None, ()
            counter.close(self.mode, self.profile, torch.__version__.partition("+")[0], self._scope.cudnn)

    @contextmanager
    def watch(self, region: Region | None = None) -> Iterator[Watch]:
        """List what would end a capture of the block, or of a region of it, which has to listen to its stages."""
        before = self._scope.capture
        watch = self._scope.capture = Watch(region)
        try:
            yield watch
        finally:
            self._scope.capture = before

    def forget_plans(self) -> None:
        """From now on cuDNN has to build every attention plan again, as in a new process."""
        self._scope.plans = threading.local()

    @property
    def questions(self) -> tuple[Question, ...]:
        """All that was asked about the GPU since the device was opened, also while building."""
        return questions(self._scope.questions)


@contextmanager
def _switched_on(read: Callable[[], bool], switch: Callable[[bool], None]) -> Iterator[None]:
    """One of torch's own switches is on within this block."""
    before = read()
    switch(True)
    try:
        yield
    finally:
        switch(before)


@contextmanager
def _also_in_new_threads() -> Iterator[None]:
    run = threading.Thread.run

    def counted(thread: threading.Thread) -> None:
        with counting():
            run(thread)

    with patch.object(threading.Thread, "run", counted):
        yield
