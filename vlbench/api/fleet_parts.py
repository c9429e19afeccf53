"""Which parts of a plan are back from a fleet, and what becomes of those that were lost, are silent, or came twice."""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from pydantic import ValidationError

from vlbench.api.ray_tasks import Message
from vlbench.export.progress import Watcher
from vlbench.judging.summary import why_incomplete
from vlbench.matrix.shards import check_same_counters
from vlbench.record.files import why_unsealed
from vlbench.record.schema import Results

SO_FAR = re.compile(r" \(\d+ s so far\)$")
"""How the lines end that a part prints."""
SLOW, WORTH_SAYING = 1.5, 10.0
"""A part is slow that takes so many times the median of those that are back, and so many seconds."""


def why_short(results: Results) -> str:
    """Why lines of a part are missing, in words; "" where none is."""
    return "; ".join(reason for group in results.groups for reason in group.lost) or why_incomplete(results)


class Tasks(Protocol):
    """What runs parts, such as Ray."""

    def start(self, shard: str) -> Any:
        """Start a part; gives a handle of it."""

    def hear(self, handles: Sequence[Any]) -> list[tuple[Any, Message]]:
        """What tasks have said by now."""

    def end(self, handle: Any) -> None:
        """End a task."""


@dataclass(eq=False)
class Try:
    """One task at a part."""

    shard: str
    handle: Any
    began: float | None = None
    """None where it waits for room."""
    heard: float = 0.0
    where: str = ""
    line: str = ""
    """What it said last."""
    silent: bool = False
    slow: bool = False


@dataclass
class Parts:
    """Runs parts until each is back or was given up."""

    shards: Sequence[str]
    tasks: Tasks
    watch: Watcher
    keep: Callable[[str, Results], None]
    """Is given the results of each part that is back, at once."""
    tries: int = 3
    silence: float = 120.0
    """Seconds without a sign of life after which a part is tried once more; what comes late is still taken."""
    clock: Callable[[], float] = time.monotonic
    back: dict[str, Results] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    """Parts that are not back, with the reason of the last try."""
    notes: list[str] = field(default_factory=list)
    """What a reader has to know, one sentence each."""
    _going: list[Try] = field(default_factory=list)
    _tried: dict[str, int] = field(default_factory=dict)
    _took: list[float] = field(default_factory=list)

    def run(self) -> None:
        """All of them. Raises IncomparableError where a part came twice and counted differently."""
        try:
            for shard in self.shards:
                self._try(shard)
            while len(self.back.keys() | self.given_up.keys()) < len(self.shards):
                self.step()
        finally:
            for each in self._going:
                self.tasks.end(each.handle)

    def tries_of(self, shard: str) -> str:
        """How often it was tried, in words."""
        tried = self._tried[shard]
        return f"{tried} tries" if tried > 1 else "one try"

    def step(self) -> None:
        """Take what was said by now, and look for tasks that are silent or slow."""
        for handle, message in self.tasks.hear([each.handle for each in self._going]):
            self._take(next(each for each in self._going if each.handle is handle), message)
        for each in list(self._going):
            self._look_at(each)
        self.watch.say(self._state())

    def _try(self, shard: str) -> None:
        self._tried[shard] = self._tried.get(shard, 0) + 1
        self._going.append(Try(shard, self.tasks.start(shard)))

    def _take(self, one: Try, message: Message) -> None:
        one.heard, one.silent = self.clock(), False
        if message.kind == "begun":
            one.began, one.where = one.heard, message.text
            self.watch.announce(f"shard {one.shard}: begun on {one.where}")
        elif message.kind == "said":
            one.line = SO_FAR.sub("", message.text) or one.line
        else:
            self._going.remove(one)
            if message.kind == "failed":
                self._lost(one, message.text)
            else:
                self._came(one, message.text)

    def _came(self, one: Try, text: str) -> None:
        try:
            results = Results.model_validate_json(text)
        except ValidationError:
            self._lost(one, "what came back is no results file")
            return
        if reason := why_unsealed(results) or why_short(results):
            self._lost(one, reason)
        elif one.shard in self.back:
            check_same_counters(one.shard, self.back[one.shard], results)
            self._note(f"shard {one.shard} came back twice with the same counters: the first counts")
        else:
            self.back[one.shard] = results
            self.given_up.pop(one.shard, None)
            self._took.append(self._time_of(one))
            self.keep(one.shard, results)
            done = f"{len(self.back)} of {len(self.shards)}"
            self.watch.announce(f"shard {one.shard}: back after {self._took[-1]:.0f} s, {done}")

    def _lost(self, one: Try, reason: str) -> None:
        """A try gave nothing, or is silent: the part is tried again, up to the bound, where no other try goes on."""
        self._note(f"shard {one.shard} was lost{one.where and f' on {one.where}'}: {reason}")
        if one.shard in self.back or any(each.shard == one.shard and not each.silent for each in self._going):
            return
        if self._tried[one.shard] < self.tries:
            self._try(one.shard)
        else:
            self.given_up[one.shard] = reason

    def _look_at(self, one: Try) -> None:
        now = self.clock()
        if one.began is None or one.shard in self.back:
            return
        if not one.silent and now - one.heard > self.silence:
            one.silent = True
            self._lost(one, f"no sign of life for {self.silence:g} s")
        usual = median(self._took) if self._took else math.inf
        if not one.slow and self._time_of(one) > max(WORTH_SAYING, SLOW * usual):
            one.slow = True
            told = f"{self._time_of(one):.0f} s so far on {one.where}, where others took {usual:.0f} s"
            self._note(f"shard {one.shard} is slow: {told}")

    def _time_of(self, one: Try) -> float:
        return self.clock() - (one.heard if one.began is None else one.began)

    def _note(self, words: str) -> None:
        self.notes.append(words)
        self.watch.announce(words)

    def _state(self) -> str:
        going = [each for each in self._going if each.began is not None]
        told = f"{len(self.back)} of {len(self.shards)} parts are back, {len(going)} run"
        if waiting := len(self._going) - len(going):
            told += f", {waiting} wait for a free place"
        last = max(going, key=lambda each: each.heard, default=None)
        return f"{told}; shard {last.shard}: {last.line}" if last and last.line else told
