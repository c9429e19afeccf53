"""What a run shows as it goes on: a line that changes on a terminal, in a pipe the estimate alone, or what is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from vlbench.judging.words import speedup_with_interval
from vlbench.stats.paired import paired_ratio
from vlbench.untrusted.console import SafeConsole

if TYPE_CHECKING:
    from vlbench.trial.job import Round
    from vlbench.trial.session import Progress


def watcher(progress: bool | Callable[[str], None]) -> Watcher:
    """Shows progress on a terminal or in a notebook, to a function of a line of text, or not at all (False)."""
    if callable(progress):
        return Watcher(progress)
    console = SafeConsole(stderr=True)
    if progress and console.is_jupyter:
        return Watcher(lambda line: print(f"\r{line:<100}", end="", flush=True, file=sys.stderr))
    return Watcher(console if progress else None)


class Watcher:
    """Shows each step of a trial, and the current estimate of the fastest variant."""

    def __init__(self, out: Console | Callable[[str], None] | None) -> None:
        """Into a terminal, or to a function that is told each line; nowhere in a pipe, and with None."""
        self._out = out
        console = out if isinstance(out, Console) else None
        self._live = Live(console=console or Console(quiet=True), refresh_per_second=4, transient=True)
        self._draws = console is not None and console.is_terminal
        self._tell = self._draw if self._draws else None if isinstance(out, Console) else out
        self._last = 0.0
        self._rounds_since: float | None = None
        self._watched: Progress | None = None
        self._estimated: Progress | None = None

    def __enter__(self) -> Self:
        if self._draws:
            self._live.start()
        self.say("starting the measuring process")
        return self

    def __exit__(self, *_: object) -> None:
        if self._draws:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Look at the progress, at most four times a second: the watcher shares the machine with what it watches."""
        if progress.told and progress is not self._estimated:
            self._estimated = progress
            self._announce(f"{_where(progress)}: {progress.told}")
        if self._tell and time.monotonic() - self._last > 0.25:
            self._last = time.monotonic()
            self._tell(self._line(progress))

    def say(self, words: str) -> None:
        """Show what goes on between trials."""
        if self._tell:
            self._tell(words)

    def _announce(self, words: str) -> None:
        """Say what stays to be read, in a pipe too."""
        if isinstance(self._out, Console):
            self._out.print(words, style="dim", soft_wrap=True)
        else:
            self.say(words)

    def _draw(self, words: str) -> None:
        self._live.update(Text(words))

    def _line(self, progress: Progress) -> str:
        total = len(progress.job.variants)
        where = _where(progress)
        if self._watched is not progress:
            self._watched, self._rounds_since = progress, None
        prefix = f"{where}, {progress.trial}: " if progress.trial else f"{where}: "
        if progress.stages:
            return f"{prefix}stages, {len(progress.stages)} of {total}"
        if not progress.rounds:
            return f"{prefix}accuracy, {len(progress.checked)} of {total}"
        if self._rounds_since is None:
            self._rounds_since = time.monotonic()
        left = max(0.0, progress.job.seconds - (time.monotonic() - self._rounds_since))
        return f"{prefix}round {progress.rounds[-1].number + 1}, {left:.0f} s left{_leader(progress.rounds)}"


def _where(progress: Progress) -> str:
    return f"{progress.plan.point.scenario} {progress.plan.point.label}".strip()


def _leader(rounds: list[Round]) -> str:
    """The fastest variant so far, in the state that was measured first."""
    same = [one.seconds for one in rounds if one.state == rounds[0].state]
    reference, *others = same[-1]
    against = [times[reference] for times in same]
    estimates = {name: paired_ratio([times[name] for times in same], against) for name in others}
    if not estimates:
        return ""
    best = min(estimates, key=lambda name: estimates[name].ratio)
    return f", fastest so far {best} {speedup_with_interval(estimates[best])}"
