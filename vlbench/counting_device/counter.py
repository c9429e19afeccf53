"""Counts while a forward runs: one event after another, each put down to the stage that is open."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from torch import Tensor

from vlbench.counting_device.happening import Happening, Source
from vlbench.implementations.stage import REPLAYED
from vlbench.record import sequence
from vlbench.record.counts import Assumption, Counts, Key, Kind, Question, Tally
from vlbench.record.site import Content, Event, Site, Where

if TYPE_CHECKING:
    from vlbench.counting_device.where import Cause

OUTSIDE = ""  # the name under which events outside of all stages are kept


STEP = 16
"""Sizes are told apart by powers of this."""


def size_class(elements: int) -> int:
    """`elements` rounded up to a power of `STEP`; 0 for none."""
    size = 1
    while size < elements:
        size *= STEP
    return size if elements else 0


def dtype_and_size(arguments: Iterable[Any]) -> tuple[str, int]:
    """Dtype of the first tensor ("list" for a list of them, "none" without any), size class of the largest."""
    dtype, largest = "", 0
    for argument in arguments:
        if isinstance(argument, Tensor):
            dtype = dtype or str(argument.dtype).removeprefix("torch.")
            largest = max(largest, argument.numel())
        elif isinstance(argument, (list, tuple)) and any(isinstance(item, Tensor) for item in argument):
            dtype = dtype or "list"
            largest = max(largest, *(item.numel() for item in argument if isinstance(item, Tensor)))
    return dtype or "none", size_class(largest)


class _Cause(NamedTuple):
    """What is told apart of a `Site`."""

    event: Event
    operation: str
    stage: str
    where: Where
    expression: str
    blocking: bool
    pinned: bool
    allowed: str
    callers: tuple[Where, ...]


def _in_common(sources: list[Source | None]) -> Literal["", "tensor", "values", "elements"]:
    """What several copies of one line have in common."""
    known = [source for source in sources if source is not None]
    if len(known) < 2 or len(known) < len(sources):
        return ""
    memories = {(source.memory._cdata, source.version) for source in known}
    if len(memories) == 1 and len({source.place for source in known}) == 1:
        return "tensor"
    if all(source.one for source in known) and len(memories) < len(known):
        return "elements"
    values = {source.values for source in known}
    return "values" if len(values) == 1 and None not in values else ""


def _all_of(contents: set[Content]) -> Content:
    """What was copied at one line."""
    if len(contents) == 1:
        return next(iter(contents))
    return "read-back" if "read-back" in contents else "several kinds"


class Counter:
    """Adds up what happens between `device.count()` and its end; `report` is the frozen result.

    It is one of the listeners to that, and besides listens to stages (`enter` and `exit`, or
    `with counter.stage("rope")`), so any marker can drive it.
    """

    def __init__(self, live_bytes: int) -> None:
        self.opened_in: CodeType | None = None
        """The code that counts, whose lines call nothing."""
        self.live_bytes_before = live_bytes
        self.peak_live_bytes = live_bytes
        self.dtypes: set[str] = set()
        self.attention_backends: set[str] = set()
        self.not_measured: set[str] = set()
        self._report: Counts | None = None
        self._open: list[str] = []
        self._tallies: dict[str, Multiset[str]] = {OUTSIDE: Multiset()}
        self._operations: Multiset[str] = Multiset()
        self._kinds: Multiset[tuple[str, str, int]] = Multiset()
        self._unknown: Multiset[str] = Multiset()
        self._causes: dict[_Cause, list[int]] = {}
        self._sources: dict[_Cause, list[Source | None]] = {}
        self._contents: dict[_Cause, set[Content]] = {}
        self._assumptions: Multiset[tuple[Where, str, bool, bool]] = Multiset()
        self._questions: Multiset[tuple[str, str, Where]] = Multiset()
        self._undecided: Multiset[Where] = Multiset()

    # Stages ------------------------------------------------------------------------------------------------------

    def enter(self, name: str) -> None:
        """A stage begins: what happens from now on is put down to it."""
        self._open.append(name)
        self._tallies.setdefault(name, Multiset())

    def exit(self, name: str) -> None:
        """It ends. Raises ValueError where another stage is the innermost one."""
        if not self._open or self._open[-1] != name:
            raise ValueError(f"stage {name!r} is left but the open stages are {self._open}")
        self._open.pop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage, as long as the block runs."""
        self.enter(name)
        try:
            yield
        finally:
            self.exit(name)

    @property
    def replays(self) -> bool:
        """Is the stage of a replay open?"""
        return REPLAYED in self._open

    @property
    def innermost(self) -> str:
        """The stage that is open, `OUTSIDE` where none is."""
        return self._open[-1] if self._open else OUTSIDE

    # Events ------------------------------------------------------------------------------------------------------

    def hear(self, now: Happening) -> None:
        """Add one event to the counters; views and operations of the host are in none."""
        if now.attention:
            self.attention_backends.add(now.attention)
        if now.kind is sequence.Kind.OPERATION:
            if now.new_plan and now.cause:
                self.transfer("attention plan", now.name, now.cause, 0, blocking=False)
            dtype, size = dtype_and_size(now.arguments)
            self.operation(now.name, dtype, size, attention=bool(now.attention))
            if now.attention:
                self.dtypes.add(dtype)
            elif now.name in sequence.PRODUCTS:
                floats = (each for each in now.results if each.is_floating_point())
                self.dtypes.update(str(each.dtype).removeprefix("torch.") for each in floats)
        elif now.kind is sequence.Kind.ALLOCATION:
            self.allocation(now.bytes, now.live_bytes)
        elif now.cause:
            event = cast("Event", "implicit upload" if now.implicit else now.kind.value)
            sent = {"blocking": now.blocking, "pinned": now.pinned}
            self.transfer(event, now.name, now.cause, now.bytes, **sent, source=now.source, content=now.content)
        elif now.attention:  # its pieces follow, each an operation
            self._tallies[self.innermost]["attention_calls"] += 1

    def operation(self, name: str, dtype: str = "none", size: int = 0, *, attention: bool = False) -> None:
        """One device operation; `dtype` and `size` as in `Kind`."""
        self._operations[name] += 1
        self._kinds[name.partition(".")[0], dtype, size] += 1
        tally = self._tallies[self.innermost]
        tally["device_operations"] += 1
        if attention:
            tally["attention_calls"] += 1

    def transfer(
        self,
        event: Event,
        operation: str,
        place: Cause,
        size: int,
        *,
        blocking: bool = True,
        pinned: bool = False,
        source: Source | None = None,
        content: Content = "",
    ) -> None:
        """One copy over the bus, one wait or one plan (no bytes), and the place that caused it."""
        tally = self._tallies[self.innermost]
        allowed = place.allowed if blocking else ""
        if blocking:
            tally["allowed_syncs" if allowed else "host_syncs"] += 1
        if event == "read-back":
            tally.update(read_backs=1, read_back_bytes=size)
        elif event == "upload":
            tally.update(uploads=1, upload_bytes=size, pinned_uploads=int(pinned))
        elif event == "implicit upload":
            tally.update(implicit_uploads=1, implicit_upload_bytes=size)
        elif event == "attention plan":
            tally["attention_plans"] += 1
        cause = _Cause(
            event, operation, self.innermost, place.where, place.expression, blocking, pinned, allowed, place.callers
        )
        self._sources.setdefault(cause._replace(stage=""), []).append(source)
        self._contents.setdefault(cause._replace(stage=""), set()).add(content)
        times_and_bytes = self._causes.setdefault(cause, [0, 0])
        times_and_bytes[0] += 1
        times_and_bytes[1] += size

    def allocation(self, size: int, live_bytes: int) -> None:
        """`size` bytes of device memory, which make `live_bytes` in all."""
        self._tallies[self.innermost].update(allocations=1, allocated_bytes=size)
        self.peak_live_bytes = max(self.peak_live_bytes, live_bytes)

    def unknown(self, name: str) -> None:
        """An operation of which nobody said what it does."""
        self._unknown[name] += 1

    def assume(self, where: Where, taken: str, *, certain: bool, branch: bool) -> None:
        """A value was taken for one that is not known; see `Assumption`."""
        self._assumptions[where, taken, certain, branch] += 1

    def asked(self, where: Where) -> int:
        """How often `where` has asked which way to go."""
        self._undecided[where] += 1
        return self._undecided[where]

    def question(self, question: str, answer: str, where: Where) -> None:
        """Code asked about the GPU."""
        self._questions[question, answer, where] += 1

    # The result --------------------------------------------------------------------------------------------------

    @property
    def report(self) -> Counts:
        """All that was counted. Raises RuntimeError while the block runs."""
        if self._report is None:
            raise RuntimeError("the counts are ready when the count() block has ended")
        return self._report

    def close(self, mode: Literal["shadow", "ghost"], profile: str, torch_version: str, cudnn: str = "") -> None:
        """Freeze what was counted. Multisets keep the order of first appearance, so equal runs give equal reports."""
        total: Multiset[str] = sum(self._tallies.values(), Multiset())
        self._report = Counts(
            key=Key(
                mode=mode,
                profile=profile,
                cudnn=cudnn,
                dtype="+".join(sorted(self.dtypes)) or "none",
                attention_backend="+".join(sorted(self.attention_backends)) or "none",
                torch_version=torch_version,
            ),
            total=Tally(**total),
            stages={name: Tally(**tally) for name, tally in self._tallies.items()},
            live_bytes_before=self.live_bytes_before,
            peak_live_bytes=self.peak_live_bytes,
            operations=dict(self._operations.most_common()),
            kinds=tuple(
                Kind(operation=operation, dtype=dtype, size=size, times=times)
                for (operation, dtype, size), times in self._kinds.most_common()
            ),
            causes=tuple(self._site(cause, times, size) for cause, (times, size) in self._causes.items()),
            assumptions=tuple(
                Assumption(where=where, taken=taken, certain=certain, branch=branch, times=times)
                for (where, taken, certain, branch), times in self._assumptions.items()
            ),
            questions=questions(self._questions),
            unknown=dict(self._unknown),
            not_measured=tuple(sorted(self.not_measured)),
        )

    def _site(self, cause: _Cause, times: int, size: int) -> Site:
        anywhere = cause._replace(stage="")
        same, content = _in_common(self._sources[anywhere]), _all_of(self._contents[anywhere])
        return Site(**cause._asdict(), times=times, bytes=size, same=same, content=content)


def questions(listed: Multiset[tuple[str, str, Where]]) -> tuple[Question, ...]:
    """Questions, answers and lines in the form in which they are kept."""
    return tuple(
        Question(question=question, answer=answer, where=where, times=times)
        for (question, answer, where), times in listed.items()
    )
