"""A listener that measures each stage's self time: its own, without the stages inside it."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable


class StageClock:
    """Host seconds by stage. The blocks' stages are added up: `block[3].mlp` counts as `mlp`.

    `synchronize` is called at every border, so that on a GPU a stage's time holds the work it issued; that makes the
    forward slower, which is why shares come from rounds of their own.
    """

    def __init__(self, synchronize: Callable[[], None] = lambda: None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._synchronize = synchronize
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        self._charge()
        self._open.append(re.sub(r"^block\[\d+\]\.", "", name))

    def exit(self, name: str) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        self._synchronize()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now
