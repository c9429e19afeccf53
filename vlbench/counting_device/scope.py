"""What the open counting device knows: its mode and profile, its memory, and the counter that listens, if one does."""

import threading
import zlib
from collections import Counter as Multiset
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from vlbench.counting_device.backends import version_of
from vlbench.counting_device.capture import blocker_of
from vlbench.counting_device.counter import Counter
from vlbench.counting_device.happening import Happening, Listener, Source
from vlbench.counting_device.memory import DeviceMemory, PinnedMemory
from vlbench.counting_device.profiles import Profile
from vlbench.counting_device.shapes import Shapes
from vlbench.counting_device.where import Cause, cause, cause_line
from vlbench.errors import UsageError
from vlbench.record.capturable import BlockerKind
from vlbench.record.sequence import Kind
from vlbench.record.site import Content, Event, Where

Mode = Literal["shadow", "ghost"]
Interpret = Callable[["Scope", Any, tuple[Any, ...], dict[str, Any]], Any]


class GraphCapture(Protocol):
    """A capture, which ends on what no CUDA graph can hold, or who lists that."""

    def ask(self) -> None:
        """Work was asked of the device, for which nobody waits."""

    def doubt(self, sentence: str) -> None:
        """Something happened that only some releases of torch refuse."""

    def meet(self, kind: BlockerKind, operation: str, place: Cause, size: int) -> None:
        """It happened, with so many bytes."""


class Scope:
    """One per open counting device; torch's hooks are functions, so they find it through `current()`."""

    def __init__(self, mode: Mode, profile: Profile, interpret: Interpret) -> None:
        self.interpret = interpret
        """Carries out an operation on device tensors. It makes such tensors, so they find it here."""
        self.ghost = mode == "ghost"
        self.profile = profile
        self.cudnn = version_of(profile)
        """As counts keep it."""
        self.plans = threading.local()
        """The keys of cuDNN's attention plans, of which each thread builds its own."""
        self.memory = DeviceMemory()
        self.shapes = Shapes()
        self.pinned = PinnedMemory()
        self.counter: Counter | None = None
        self.listeners: tuple[Listener, ...] = ()
        """Who hears of what is asked while the counter does, itself among them."""
        self.capture: GraphCapture | None = None
        """Who is told of what no CUDA graph can hold."""
        self.not_measured_here: set[str] = set()
        """Sentences that hold for every count from now on."""
        self.questions: Multiset[tuple[str, str, Where]] = Multiset()
        self.building = False
        self.waits = 0
        """How often the host has waited for all that was asked of the device."""
        self.asked = self.done = 0
        """How much was asked of the device, and how much of it the host has waited for."""
        self.sent = self.arrived = 0
        """How many copies to the host did not wait, and how many of them a wait has covered since."""
        self.aside = False
        """Has work gone to a stream of its own? Then a wait for one stream covers nothing of others."""
        self.undecided = 0
        """How often code outside of counting asked floats what no ordinary input decides."""
        self.branch = True
        """Which way code goes that asks of floats what no ordinary input decides."""
        self.lock = threading.RLock()  # operations are counted one at a time, whichever thread they come from

    def tell(
        self, kind: Kind, name: str, arguments: Sequence[Any] = (), results: Sequence[Any] = (), **more: Any
    ) -> None:
        """Tell all listeners of what happens, with `more` of `Happening`; nobody where nothing is counted."""
        if self.counter is not None:
            counter = self.counter
            now = Happening(kind, name, counter.innermost, arguments, results, replayed=counter.replays, **more)
            for listener in self.listeners:
                listener.hear(now)

    def transfer(
        self,
        event: Event,
        operation: str,
        size: int = 0,
        *,
        blocking: bool = True,
        pinned: bool = False,
        source: Tensor | None = None,
        until: int | None = None,
    ) -> None:
        """Count a copy over the bus, or a wait, and the line that causes it. `source` is the host tensor behind it.

        A wait for an event covers as much of what was `sent` as `until`.
        """
        self.waits += event == "synchronize"
        content: Content = "" if source is None else _content(source)
        if event == "synchronize" and self.sent > self.arrived:
            content = "read-back"
        if kind := blocker_of(event, operation, content, blocking=blocking, pinned=pinned):
            self.blocked(kind, operation, size)
        if blocking:
            self.done = self.asked
            if not self.aside or operation in FOR_ALL_STREAMS:
                self.arrived = self.sent if until is None else max(self.arrived, until)
        else:
            self._ask()
            self.sent += event == "read-back"
        if self.counter is not None:
            implicit = event == "implicit upload"
            self.tell(
                Kind.UPLOAD if implicit else Kind(event),
                operation,
                () if source is None else (source,),
                bytes=size,
                blocking=blocking,
                pinned=pinned,
                implicit=implicit,
                cause=cause(self.counter.opened_in),
                source=None if source is None else self._source(source),
                content=content,
            )

    def blocked(self, kind: BlockerKind, operation: str, size: int = 0) -> None:
        """Something on which a capture ends. Raises what a GPU raises where one is under way."""
        if self.capture is not None:
            self.capture.meet(kind, operation, cause(self.counter.opened_in if self.counter else None), size)

    def _ask(self) -> None:
        self.asked += 1
        if self.capture is not None:
            self.capture.ask()

    def doubted(self, what: str) -> None:
        """Something on which a capture may end, by the release of torch; `what` is a sentence without its line."""
        if self.capture is not None:
            self.capture.doubt(f"{cause_line().place}: {what}")

    def pin(self, host: Tensor, operation: str) -> Tensor:
        """Remember that `host` is in pinned memory that is new, and return it."""
        self.blocked("pinned allocation", operation, host.numel() * host.element_size())
        return self.pinned.add(host)

    def _source(self, host: Tensor) -> Source:
        """What tells copies of `host` apart."""
        whole = not (host.is_floating_point() or host.is_complex() or host.dtype == torch.bool)
        known = whole and host.device.type == "cpu" and host.numel() * host.element_size() <= MOST_COMPARED
        values = hash((host.dtype, host.shape, _bytes(host).tobytes())) if known else None
        memory, place = host.untyped_storage(), (host.storage_offset(), *host.shape)
        block = self.memory.blocks.get(memory._cdata)
        if block is not None:
            version = block.version
        else:  # torch keeps no versions of tensors that inference mode made
            version = zlib.crc32(_bytes(host)) if host.is_inference() else host._version
        return Source(memory, place, version, values, host.numel() == 1)

    def operation(
        self,
        name: str,
        arguments: Sequence[Any] = (),
        results: Sequence[Any] = (),
        *,
        attention: str = "",
        new_plan: bool = False,
    ) -> None:
        """Count one device operation; `attention` is the backend of one that is a call of it.

        With `new_plan` cuDNN builds a plan for it, and the line that needs that is counted as well.
        """
        self._ask()
        if self.counter is not None:
            place = cause(self.counter.opened_in) if new_plan else None
            told = {"attention": attention, "new_plan": new_plan, "cause": place}
            self.tell(Kind.OPERATION, name, arguments, results, **told)

    def is_new_plan(self, key: Hashable) -> bool:
        """Has this thread no attention plan of this `key`? From now on it has."""
        built: set[Hashable] = vars(self.plans).setdefault("built", set())
        is_new = key not in built
        built.add(key)
        return is_new

    def unknown(self, name: str) -> None:
        """Count a call of an operation of which nothing is known."""
        if self.counter is not None:
            self.counter.unknown(name)

    def not_measured(self, sentence: str) -> None:
        """Name something that cannot be counted: in this count, or, while building, in all that follow."""
        sentences = self.not_measured_here if self.counter is None else self.counter.not_measured
        sentences.add(sentence)

    def assume(self, taken: str, *, certain: bool, branch: bool = False) -> None:
        """List that a value was taken for one that ghost mode does not have; see `Assumption`."""
        if self.counter is not None:
            self.counter.assume(cause_line(), taken, certain=certain, branch=branch)

    def question(self, question: str, answer: object) -> None:
        """List a question about the GPU and its answer, with the line that wants to know."""
        entry = (question, str(answer), cause_line())
        self.questions[entry] += 1
        if self.counter is not None:
            self.counter.question(*entry)


def _content(copied: Tensor) -> Content:
    if copied.dtype == torch.bool:
        return "truth value" if copied.numel() == 1 else "truth values"
    if copied.is_floating_point() or copied.is_complex():
        return "number" if copied.numel() == 1 else "numbers"
    return "integer" if copied.numel() == 1 else "integers"


def _bytes(host: Tensor) -> Any:
    return host.detach().resolve_conj().resolve_neg().contiguous().unsqueeze(-1).flatten().view(torch.uint8).numpy()


FOR_ALL_STREAMS = frozenset({"torch.cuda.synchronize", "torch.cuda.empty_cache"})
"""What waits for the whole device."""
MOST_COMPARED = 2**16
"""Bytes of a copy that are compared with those of others."""
_open: Scope | None = None


def current() -> Scope:
    """The open scope; UsageError where there is none."""
    if _open is None:
        raise UsageError(
            f"A tensor of a closed counting device is used at {cause_line()}; use it inside the `with` block."
        )
    return _open


def is_open() -> bool:
    """Whether a counting device is open."""
    return _open is not None


def install(scope: Scope | None) -> None:
    """Make `scope` the open one; there is one at a time, because there is one set of hooks in torch."""
    global _open
    if scope is not None and _open is not None:
        raise UsageError("A counting device is open already; close it first (one at a time in a process).")
    _open = scope
