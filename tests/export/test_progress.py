from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from tests.trial.plans import job, plan
from vlbench.export import progress as module
from vlbench.export.progress import Watcher
from vlbench.record.exactness import Accuracy
from vlbench.trial.job import Checked, Event, FedIn, Prepared, Round, Stages
from vlbench.trial.session import Progress

RIGHT = Accuracy(passed=True, exactness="bit-exact", fp32_error=0, fp32_limit=0)
EVENTS: list[Event] = [
    FedIn(batch="1 photo, 24 patches"),
    Prepared(batch="b", grids=((1, 4, 6),)),
    Checked(variant="baseline", accuracy=RIGHT),
    Checked(variant="rope-cache", accuracy=RIGHT),
    *(Round(number=n, state="warm", seconds={"baseline": 2.0, "rope-cache": 1.0}) for n in range(6)),
    Stages(variant="baseline", seconds={}),
]


def shown(*, terminal: bool, trial: str = "") -> str:
    out = StringIO()
    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        progress = Progress(plan("rope-cache"), job("rope-cache", seconds=9), trial)
        console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
        with Watcher(console) as watcher:
            for event in EVENTS:
                now[0] += 1
                progress.take(event)
                watcher(progress)
                watcher._live.refresh()
    return out.getvalue()


def test_in_a_pipe_a_short_command_shows_nothing() -> None:
    assert shown(terminal=False) == ""


def piped(monkeypatch: pytest.MonkeyPatch, first: float, then: float, lasts: float) -> list[str]:
    """The lines of a command that takes so many seconds, in a pipe."""
    monkeypatch.setattr(module, "FIRST", first)
    monkeypatch.setattr(module, "NEXT", then)
    out = StringIO()
    with Watcher(Console(file=out, width=40)) as watcher:
        watcher.say("counting module:Tower[x], which is a long name")
        time.sleep(lasts)
    said = out.getvalue()
    time.sleep(2 * then)
    assert out.getvalue() == said  # nothing after its end
    return said.splitlines()


def test_in_a_pipe_a_long_command_says_what_it_does_in_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = piped(monkeypatch, 0.02, 0.05, 0.2)
    assert 2 <= len(lines) <= 4  # the first at once, the others at a bounded rate
    assert set(lines) == {"counting module:Tower[x], which is a long name (0 s so far)"}


def test_in_a_pipe_the_lines_become_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARE", 10.0)  # so that a test shows it
    assert len(piped(monkeypatch, 0.05, 0.01, 0.3)) == 1


def test_steps_tell_how_long_all_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Watcher(lines.append) as watcher:
        watcher.say("counting a:b")
        for done in (1, 2):
            now[0] += 2
            watcher.steps(done, 5)
    assert lines[1:] == [
        "counting a:b",
        "counting a:b: about 10 s",
        "counting a:b: 1 of 5, in all about 10 s",
        "counting a:b: 2 of 5, in all about 10 s",
    ]


def test_nothing_is_said_where_nobody_asked() -> None:
    with Watcher(None) as watcher:
        watcher.say("x")
        watcher.announce("y")


def test_on_a_terminal_each_step_is_shown_with_the_fastest_so_far() -> None:
    text = shown(terminal=True)
    for step in (
        "small: first forwards of the reference tower; fed in: 1 photo, 24 patches",
        "small: accuracy, 0 of 2",
        "small: accuracy, 1 of 2",
        "small: round 1, 9 s left, fastest so far rope-cache 2.00",
        "small: round 6, 4 s left",
        "small: stages, 1 of 2",
    ):
        assert step in text


def test_one_of_several_trials_is_named() -> None:
    assert "small, trial 2 of 5: accuracy, 1 of 2" in shown(terminal=True, trial="trial 2 of 5")
