"""What a command shows as it goes on: a line that changes on a terminal, lines in a pipe, or what it tells."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
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

Shown = bool | Callable[[str], None]
"""Is progress shown, or who is told of it?"""
WORTH_SAYING = 5.0
"""Seconds from which on an estimate is told."""
FIRST, NEXT, SHARE = 1.0, 10.0, 0.1
"""Seconds until a pipe gets its first line, the fewest between two, and so between two of a long command as a share of
its time so far: whoever watches shares the machine with what is watched."""


def watcher(progress: Shown) -> Watcher:
    """Shows progress on a terminal or in a notebook, to a function of a line of text, or not at all (False)."""
    if callable(progress):
        return Watcher(progress)
    console = SafeConsole(stderr=True)
    if progress and console.is_jupyter:
        return Watcher(lambda line: print(f"\r{line:<100}", end="", flush=True, file=sys.stderr))
    return Watcher(console if progress else None)


@contextmanager
def doing(words: str, progress: Shown = True) -> Iterator[Watcher]:
    """Show what goes on inside of the block, to which the watcher is given."""
    with watcher(progress) as watch:
        watch.say(words)
        yield watch


class Watcher:
    """Shows what goes on, each step of a trial, and the current estimate of the fastest variant."""

    def __init__(self, out: Console | Callable[[str], None] | None) -> None:
        """Into a terminal or a pipe, or to a function that is told each line; nowhere with None."""
        self._out = out
        console = out if isinstance(out, Console) else None
        self._live = Live(console=console or Console(quiet=True), refresh_per_second=4, transient=True)
        self._draws = console is not None and console.is_terminal
        self._tell = self._draw if self._draws else None if isinstance(out, Console) else out
        self._last = 0.0
        self._rounds_since: float | None = None
        self._watched: Progress | None = None
        self._estimated: Progress | None = None
        self._began = time.monotonic()
        self._doing: str | Progress = ""
        self._task = ""
        self._ended = Event()

    def __enter__(self) -> Self:
        if self._draws:
            self._live.start()
        elif isinstance(self._out, Console):
            Thread(target=self._report, args=(self._out,), daemon=True).start()
        self.say("starting the measuring process")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._draws:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Look at the progress, at most four times a second: the watcher shares the machine with what it watches."""
        if progress.fed and not progress.prepared:  # nothing else comes until forwards are done that may take long
            self._last = 0.0
        if progress.told and progress is not self._estimated:
            self._estimated = progress
            self.announce(f"{_where(progress)}: {progress.told}")
        self._doing = progress
        if self._tell and time.monotonic() - self._last > 0.25:
            self._last = time.monotonic()
            self._tell(self._line(progress))

    def say(self, words: str) -> None:
        """Show what goes on outside of trials."""
        self._task = words
        self._show(words)

    def _show(self, words: str) -> None:
        self._doing = words
        if self._tell:
            self._tell(words)

    def announce(self, words: str) -> None:
        """Say what stays to be read, at once in a pipe too."""
        if isinstance(self._out, Console):
            self._out.print(Text(words, "dim"), soft_wrap=True)
        elif self._tell:
            self._tell(words)

    def steps(self, done: int, of: int) -> None:
        """So many equal steps of what was said last are done; the first says how long all will take."""
        whole = (time.monotonic() - self._began) / done * of
        if done == 1 < of and whole >= WORTH_SAYING:
            self.announce(f"{self._task}: about {whole:.0f} s")
        self._show(f"{self._task}: {done} of {of}, in all about {whole:.0f} s")

    def _report(self, console: Console) -> None:
        """Lines for a pipe, fewer and fewer as time goes on."""
        wait = FIRST
        while not self._ended.wait(wait):
            so_far, doing = time.monotonic() - self._began, self._doing
            line = doing if isinstance(doing, str) else self._line(doing)
            console.print(Text(f"{line} ({so_far:.0f} s so far)", "dim"), soft_wrap=True)
            wait = max(NEXT, SHARE * so_far)

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
        if progress.fed and not progress.prepared:
            return f"{prefix}first forwards of the reference tower; fed in: {progress.fed}"
        if not progress.rounds:
            return f"{prefix}accuracy, {len(progress.checked)} of {total}{self._left(len(progress.checked), total)}"
        if self._rounds_since is None:
            self._rounds_since = time.monotonic()
        left = max(0.0, progress.job.seconds - (time.monotonic() - self._rounds_since))
        return f"{prefix}round {progress.rounds[-1].number + 1}, {left:.0f} s left{_leader(progress.rounds)}"

    def _left(self, done: int, of: int) -> str:
        """How long the other checks will take, once a few are done."""
        took = time.monotonic() - self._began
        return f", about {took / done * (of - done):.0f} s left" if done > 2 and took > WORTH_SAYING else ""


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
