from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from tests.trial.plans import job, plan
from vlbench.export.progress import Watcher
from vlbench.record.exactness import Accuracy
from vlbench.trial.job import Checked, Event, Prepared, Round, Stages
from vlbench.trial.session import Progress

RIGHT = Accuracy(passed=True, exactness="bit-exact", fp32_error=0, fp32_limit=0)
EVENTS: list[Event] = [
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


def test_in_a_pipe_nothing_is_shown() -> None:
    assert shown(terminal=False) == ""


def test_on_a_terminal_each_step_is_shown_with_the_fastest_so_far() -> None:
    text = shown(terminal=True)
    for step in (
        "small: accuracy, 0 of 2",
        "small: accuracy, 1 of 2",
        "small: round 1, 9 s left, fastest so far rope-cache 2.00",
        "small: round 6, 4 s left",
        "small: stages, 1 of 2",
    ):
        assert step in text


def test_one_of_several_trials_is_named() -> None:
    assert "small, trial 2 of 5: accuracy, 1 of 2" in shown(terminal=True, trial="trial 2 of 5")
