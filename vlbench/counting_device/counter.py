"""Counts while a forward runs: one event after another, each put down to the stage that is open."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterator
from contextlib import contextmanager

from vlbench.record.counts import Assumption, Counts, Key, Kind, Question, Tally
from vlbench.record.site import Event, Site, Where

OUTSIDE = ""  # the name under which events outside of all stages are kept


class Counter:
    """Collects events between `device.count()` and its end; `report` is the frozen result.

    It listens to stages (`enter` and `exit`, or `with counter.stage("rope")`), so any marker can drive it.
    """

    def __init__(self, live_bytes: int) -> None:
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
        self._causes: dict[tuple[Event, str, str, Where, str, bool, bool], list[int]] = {}
        self._assumptions: Multiset[tuple[Where, str, bool, bool]] = Multiset()
        self._questions: Multiset[tuple[str, str, Where]] = Multiset()

    # Stages ------------------------------------------------------------------------------------------------------

    def enter(self, name: str) -> None:
        self._open.append(name)
        self._tallies.setdefault(name, Multiset())

    def exit(self, name: str) -> None:
        if not self._open or self._open[-1] != name:
            raise ValueError(f"stage {name!r} is left but the open stages are {self._open}")
        self._open.pop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self.exit(name)

    @property
    def _stage(self) -> str:
        return self._open[-1] if self._open else OUTSIDE

    # Events ------------------------------------------------------------------------------------------------------

    def operation(self, name: str, dtype: str = "none", size: int = 0, *, attention: bool = False) -> None:
        """One device operation; `dtype` and `size` as in `Kind`."""
        self._operations[name] += 1
        self._kinds[name.partition(".")[0], dtype, size] += 1
        tally = self._tallies[self._stage]
        tally["device_operations"] += 1
        if attention:
            tally["attention_calls"] += 1

    def attention_as_pieces(self) -> None:
        """An attention call whose operations are counted one by one (the math backend)."""
        self._tallies[self._stage]["attention_calls"] += 1

    def transfer(
        self,
        event: Event,
        operation: str,
        where: Where,
        size: int,
        *,
        expression: str = "",
        blocking: bool = True,
        pinned: bool = False,
    ) -> None:
        """One copy over the bus, or one wait (`synchronize`, no bytes), and the place that caused it."""
        tally = self._tallies[self._stage]
        if blocking:
            tally["host_syncs"] += 1
        if event == "read-back":
            tally.update(read_backs=1, read_back_bytes=size)
        elif event == "upload":
            tally.update(uploads=1, upload_bytes=size, pinned_uploads=int(pinned))
        elif event == "implicit upload":
            tally.update(implicit_uploads=1, implicit_upload_bytes=size)
        cause = self._causes.setdefault((event, operation, self._stage, where, expression, blocking, pinned), [0, 0])
        cause[0] += 1
        cause[1] += size

    def allocation(self, size: int, live_bytes: int) -> None:
        self._tallies[self._stage].update(allocations=1, allocated_bytes=size)
        self.peak_live_bytes = max(self.peak_live_bytes, live_bytes)

    def unknown(self, name: str) -> None:
        self._unknown[name] += 1

    def assume(self, where: Where, taken: str, *, certain: bool, branch: bool) -> None:
        self._assumptions[where, taken, certain, branch] += 1

    def question(self, question: str, answer: str, where: Where) -> None:
        self._questions[question, answer, where] += 1

    # The result --------------------------------------------------------------------------------------------------

    @property
    def report(self) -> Counts:
        if self._report is None:
            raise RuntimeError("the counts are ready when the count() block has ended")
        return self._report

    def close(self, mode: str, profile: str, torch_version: str) -> None:
        """Freeze what was counted. Multisets keep the order of first appearance, so equal runs give equal reports."""
        total: Multiset[str] = sum(self._tallies.values(), Multiset())
        self._report = Counts(
            key=Key(
                mode=mode,
                profile=profile,
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
            causes=tuple(
                Site(
                    event=event,
                    operation=operation,
                    stage=stage,
                    where=where,
                    expression=expression,
                    blocking=blocking,
                    pinned=pinned,
                    times=times,
                    bytes=size,
                )
                for (event, operation, stage, where, expression, blocking, pinned), (
                    times,
                    size,
                ) in self._causes.items()
            ),
            assumptions=tuple(
                Assumption(where=where, taken=taken, certain=certain, branch=branch, times=times)
                for (where, taken, certain, branch), times in self._assumptions.items()
            ),
            questions=questions(self._questions),
            unknown=dict(self._unknown),
            not_measured=tuple(sorted(self.not_measured)),
        )


def questions(asked: Multiset[tuple[str, str, Where]]) -> tuple[Question, ...]:
    return tuple(
        Question(question=question, answer=answer, where=where, times=times)
        for (question, answer, where), times in asked.items()
    )
