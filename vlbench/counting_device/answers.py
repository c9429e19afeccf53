"""What `torch.cuda` says inside the scope: the answers of a machine with one GPU of the chosen profile.

Code asks before it chooses a path; every question of code outside torch is listed with its answer. Waiting for the
device is counted, and what cannot be counted here (compiled code) is named. Streams and events order nothing, but
waiting for one is a host sync; they and graphs (`graphs`) are classes, as in torch, because code names them in its type
annotations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._device import _device_constructors

from vlbench.counting_device.graphs import GRAPHS
from vlbench.counting_device.runtime import runtime
from vlbench.counting_device.scope import Scope, current, is_open
from vlbench.counting_device.taken import reading_numbers, shared, tolist
from vlbench.counting_device.where import asked_by_torch
from vlbench.errors import UsageError

CUDA_VERSION = "13.0"
"""What `torch.version.cuda` says where torch was built without CUDA: a value, so nobody can list who reads it."""
_NVTX = ("rangePushA", "rangePop", "rangeStartA", "rangeEnd", "deviceRangeStart", "deviceRangeEnd", "markA")


@contextmanager
def cuda_answers(scope: Scope) -> Iterator[None]:
    """Within this block `torch.cuda` and `torch.accelerator` answer for the scope's profile."""
    with ExitStack() as patches:
        for module, name, value in _replacements(scope):
            if hasattr(module, name):
                patches.enter_context(patch.object(module, name, value))
        for module, name, value in runtime(scope):  # a build without CUDA lacks some, and code may hide that with `try`
            patches.enter_context(patch.object(module, name, value, create=True))
        yield


def _replacements(scope: Scope) -> Iterator[tuple[object, str, Any]]:
    cuda, accelerator = torch.cuda, torch.accelerator
    memory, profile = scope.memory, scope.profile
    answers: list[tuple[ModuleType, str, Callable[..., Any]]] = [
        (cuda, "is_available", lambda: True),
        (cuda, "device_count", lambda: 1),
        (cuda, "current_device", lambda: 0),
        (cuda, "get_device_capability", lambda device=None: profile.capability),
        (cuda, "get_device_name", lambda device=None: profile.name),
        (cuda, "get_device_properties", lambda device=None: profile),
        (cuda, "get_arch_list", lambda: [f"sm_{profile.major}{profile.minor}"]),
        (cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or profile.major >= 8),
        (cuda, "is_tf32_supported", lambda: profile.major >= 8),
        (cuda, "memory_allocated", lambda device=None: memory.live_bytes),
        (cuda, "mem_get_info", lambda device=None: (profile.total_memory - memory.live_bytes, profile.total_memory)),
        (torch.backends.cuda, "is_built", lambda: True),
        (torch.backends.cudnn, "version", lambda: profile.cudnn_version),
        (accelerator, "is_available", lambda: True),
        (accelerator, "device_count", lambda: 1),
        (accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda")),
        (accelerator, "current_device_index", lambda: 0),
    ]
    yield from ((module, name, listed(scope, f"{module.__name__}.{name}", answer)) for module, name, answer in answers)
    # Torch itself must not believe it: it would go on to seed generators that a build without CUDA lacks.
    name = "is_initialized"
    yield cuda, name, listed(scope, f"torch.cuda.{name}", lambda: True, for_torch=cuda.is_initialized)
    # A function of its own for each name: torch's compiler, if imported in the scope, refuses shared ones.
    for name in ("_lazy_init", "init", "set_device", "reset_peak_memory_stats", "set_stream"):
        yield cuda, name, lambda *args, **kwargs: None
    # Random numbers of the device come from the host's generator (`torch.random.fork_rng` asks for all of them).
    state = partial(torch.empty, 0, dtype=torch.uint8, device="cpu")
    yield cuda, "get_rng_state", lambda device="cuda": _of_generator(scope, "get_rng_state", state())
    yield cuda, "set_rng_state", lambda state, device="cuda": _of_generator(scope, "set_rng_state")
    for name in ("manual_seed", "manual_seed_all"):
        yield cuda, name, partial(_of_seed, scope, name, getattr(cuda, name))
    stream = Stream()
    for name in ("current_stream", "default_stream"):
        yield cuda, name, lambda device=None: stream
    yield accelerator, "current_stream", lambda device=None: stream
    for module in (cuda, torch):
        yield module, "Stream", Stream
        yield module, "Event", Event
    yield cuda, "stream", stream_context

    for name in ("_exchange_device", "_maybe_exchange_device"):  # `with torch.cuda.device(0)`
        yield cuda, name, lambda device: 0
    for module in (cuda, accelerator):
        yield module, "synchronize", lambda device=None: scope.transfer("synchronize", "torch.cuda.synchronize")
    # It gives memory back, for which the driver waits until all work is done.
    yield cuda, "empty_cache", lambda: scope.transfer("synchronize", "torch.cuda.empty_cache")
    if not torch.version.cuda:
        yield torch.version, "cuda", CUDA_VERSION
    yield from ((cuda, name, value) for name, value in GRAPHS.items())
    if not hasattr(torch._C, "_nvtx"):  # a build without CUDA refuses ranges; on a GPU they ask nothing of it
        yield cuda.nvtx, "_nvtx", SimpleNamespace(**dict.fromkeys(_NVTX, lambda *args: 0))
    yield from _outside_the_dispatcher()
    yield from _eager(scope)


def _of_generator(scope: Scope, name: str, answer: Any = None) -> Any:  # see ATen/cuda/CUDAGeneratorImpl.cpp
    scope.doubted(f"torch.cuda.{name} in a capture is refused by torch before 2.10, and a new seed by later ones")
    return answer


def _of_seed(scope: Scope, name: str, seeding: Callable[[int], Any], seed: int) -> None:
    _of_generator(scope, name, seeding(seed))


def _outside_the_dispatcher() -> Iterator[tuple[object, str, Any]]:
    _device_constructors()  # torch remembers its factories by identity: let it see them before one is replaced
    yield torch, "tensor", _pinning(reading_numbers(torch.tensor))
    yield torch, "as_tensor", reading_numbers(torch.as_tensor)
    yield torch, "from_dlpack", shared(torch.utils.dlpack.from_dlpack)
    yield torch, "cond", lambda pred, true_fn, false_fn, operands=(): (true_fn if pred else false_fn)(*operands)
    yield torch, "while_loop", while_loop
    yield torch.Tensor, "tolist", tolist


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """`torch.while_loop` as torch runs it eagerly: each condition is read back."""
    while cond_fn(*carried_inputs):
        carried_inputs = body_fn(*carried_inputs)
    return carried_inputs


def listed(
    scope: Scope, name: str, answer: Callable[..., Any], for_torch: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """`answer`, which also lists the question `name`() and what was said, unless torch or triton asks itself."""

    def answered(*args: Any, **kwargs: Any) -> Any:
        if asked_by_torch(1):
            return (for_torch or answer)(*args, **kwargs)
        given = answer(*args, **kwargs)
        scope.question(f"{name}()", given)
        return given

    return answered


def _pinning(tensor: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.tensor(data, pin_memory=True)`, which a build without CUDA refuses before anyone can see it."""

    def pinning(data: Any, *, pin_memory: bool = False, **options: Any) -> Tensor:
        made = tensor(data, **options)
        return made.pin_memory() if pin_memory else made

    return pinning


def _eager(scope: Scope) -> Iterator[tuple[ModuleType, str, Any]]:
    """Compiled code runs eagerly, and the count in which it runs says that its kernels are not measured."""

    def compile(model: Any = None, **kwargs: Any) -> Any:
        if model is None:
            return lambda later: compile(later, **kwargs)
        return _CompiledModule(model) if isinstance(model, nn.Module) else _compiled(model)

    yield torch, "compile", compile
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if dynamo is None:
        return
    choose = dynamo._callback_from_stance

    def no_callback(callback: Any, *args: Any) -> Any:
        if not callable(callback):  # torch._dynamo.disable and the like
            return choose(callback, *args)
        compiled = sys._getframe(1).f_locals.get("fn")  # what was compiled before the scope was opened
        _ran_eagerly(compiled)
        return None

    yield dynamo, "_callback_from_stance", no_callback


def _ran_eagerly(compiled: Any) -> None:
    """Name what runs compiled, in the count that it runs in; building runs nothing that is counted."""
    if is_open() and current().counter is not None:
        bound = type(getattr(compiled, "__self__", None))
        name = getattr(compiled, "__qualname__", type(compiled).__name__)
        name = f"{bound.__name__}.{compiled.__name__}" if issubclass(bound, nn.Module) else name
        current().not_measured(
            f"torch.compile: {name} ran eagerly, so the kernels that compiling would fuse are counted one by one"
        )


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def eager(*args: Any, **kwargs: Any) -> Any:
        _ran_eagerly(function)
        return function(*args, **kwargs)

    return eager


class _CompiledModule(nn.Module):
    """What `torch.compile(module)` returns: the module under another name, with all that it has."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """That of the module."""
        _ran_eagerly(self._orig_mod)
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__["_modules"]
        return own[name] if name in own else getattr(own["_orig_mod"], name)


class Stream:
    """Stands in for `torch.cuda.Stream` and `torch.Stream`: one order of work, so other streams need no waiting."""

    device_index, stream_id, cuda_stream = 0, 0, 0

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        self.priority = priority
        self._queried_at: int | None = None

    def synchronize(self) -> None:
        """The host waits."""
        current().transfer("synchronize", "torch.cuda.Stream.synchronize")

    def query(self) -> bool:
        """Not yet, then yes, unless all was waited for: code that queries until it is so has waited."""
        scope = current()
        scope.blocked("wait", "torch.cuda.Stream.query")
        if scope.asked == scope.done:
            return True
        if self._queried_at == scope.asked:
            scope.transfer("synchronize", "torch.cuda.Stream.query")
            return True
        self._queried_at = scope.asked
        return False

    def wait_stream(self, stream: Any) -> None:
        """The device waits, not the host."""

    def wait_event(self, event: Any) -> None:
        """The device waits, not the host."""

    def record_event(self, event: Any = None) -> Any:
        """The event, or a new one."""
        return event or Event()

    def __enter__(self) -> Stream:
        current().aside = True
        return self

    def __exit__(self, *error: Any) -> None:
        return None


class Event:
    """Stands in for `torch.cuda.Event` and `torch.Event`."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, **kwargs: Any) -> None:
        self.enable_timing = enable_timing
        self._recorded: int | None = None
        self._sent = 0
        self._was_queried = False

    def record(self, stream: Any = None) -> None:
        """Marks a place in the stream: nothing the host waits for."""
        scope = current()
        self._recorded, self._sent, self._was_queried = scope.waits, scope.sent, False

    def wait(self, stream: Any = None) -> None:
        """The device waits, not the host."""

    def query(self) -> bool:
        """Not yet, then yes: code that queries until it is so has waited. Whatever waits ends all that was recorded."""
        current().blocked("wait", "torch.cuda.Event.query")
        if self._recorded != current().waits:
            return True
        if self._was_queried:
            current().transfer("synchronize", "torch.cuda.Event.query", until=self._sent)
        self._was_queried = not self._was_queried
        return not self._was_queried

    def synchronize(self) -> None:
        """The host waits."""
        current().transfer("synchronize", "torch.cuda.Event.synchronize", until=self._sent)

    def elapsed_time(self, end: Any) -> NoReturn:
        """Raises UsageError: nothing here takes time."""
        raise UsageError("torch.cuda.Event.elapsed_time: the counting device counts and has no time; use a real GPU.")


def stream_context(stream: Any) -> Stream:
    """`with torch.cuda.stream(s):`, where no stream means the current one."""
    return stream if stream is not None else Stream()
