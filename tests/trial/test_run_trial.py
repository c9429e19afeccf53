from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.trial.plans import job
from tests.warm_start import WarmPopen
from vlbench.errors import UsageError
from vlbench.process import holder
from vlbench.process.child import ChildError
from vlbench.trial.job import EVENTS, Checked, FedIn, Finished, Job, Prepared
from vlbench.trial.session import run_trial
from vlbench.workload.scenario import Item, ScenarioPoint

pytestmark = pytest.mark.usefixtures("misbehaving")


BEFORE: set[int] = set()
"""Processes that other tests have started."""


@pytest.fixture(autouse=True)
def _before() -> None:
    BEFORE.clear()
    BEFORE.update(child.pid for child in psutil.Process().children(recursive=True))


def workers() -> list[psutil.Process]:
    """Measuring processes that this test has started and that still live, without those that their outputs lie in."""
    own = {WarmPopen.waiting.group} if WarmPopen.waiting else set()
    found = [child for child in psutil.Process().children(recursive=True) if child.pid not in BEFORE | own]
    return [child for child in found if (words := words_of(child)) and holder.__file__ not in words]


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; empty once it has given its memory back, which it may have done before it is a zombie."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie's error is one of these
        return []


def test_whoever_stops_listening_ends_the_process() -> None:
    events = run_trial(job("host-grid", seconds=600), timeout=600)
    assert isinstance(next(events), FedIn)
    assert len(workers()) == 1
    events.close()  # type: ignore[attr-defined]
    assert workers() == []


def test_a_job_that_cannot_be_done_is_refused_in_one_sentence(tmp_path: Path) -> None:
    photo = ScenarioPoint(scenario="s", item=(Item(grid="4x6"),))
    missing = tmp_path / "missing.jpg"
    with pytest.raises(UsageError) as caught:
        list(run_trial(job(point=photo, images=(missing,)), timeout=600))
    assert str(caught.value) == f"{missing} does not exist; give the path of a picture"
    assert workers() == []


def death_of(asked: Job, timeout: float = 600) -> ChildError:
    with pytest.raises(ChildError) as caught:
        list(run_trial(asked, timeout))
    assert workers() == []
    assert "\n" not in caught.value.reason
    return caught.value


def test_a_process_that_hangs_is_ended() -> None:
    death = death_of(job("hangs"), timeout=3)
    assert death.reason in ("one call did not end within 2 s", "no end after 3 s")
    assert death.called in (None, "baseline", "hangs")  # however far it got on a busy machine


def test_a_process_may_die_with_anything_on_its_lips() -> None:
    death = death_of(job("aborts"))
    assert (death.called, death.reason) == ("aborts", "its process was ended by SIGABRT")


def test_a_process_that_fails_before_any_variant_says_its_last_line() -> None:
    death = death_of(job(seed=2**70))
    assert death.called is None
    assert death.reason.startswith("its process ended with code 1: ")
    assert "Error" in death.reason


def test_jobs_and_events_survive_json() -> None:
    asked = job("classic+host-grid", seed=7, images=(Path("a b.jpg"),))
    assert Job.model_validate_json(asked.model_dump_json()) == asked
    for event in (Prepared(batch="b", grids=((1, 2, 3),)), Finished()):
        assert EVENTS.validate_json(event.model_dump_json()) == event


def test_an_event_about_nan_survives_json() -> None:
    from tests.record.records import WRONG

    token = WRONG.worst_token
    assert token
    nan = float("nan")
    accuracy = WRONG.model_copy(update={"fp32_error": nan, "worst_token": token.model_copy(update={"error": nan})})
    event = Checked(variant="gives-nan", accuracy=accuracy)
    assert repr(EVENTS.validate_json(event.model_dump_json())) == repr(event)
