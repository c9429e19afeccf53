"""Trials end within their time and keep what came: the real measuring process, and runners of a test's own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.trial.plans import MIN_ROUNDS, plan
from vlbench.judging.summary import is_quick_look
from vlbench.process.child import ChildError
from vlbench.record.journal import Journal
from vlbench.record.schema import VariantTrial
from vlbench.trial.job import Event, Job, Round, job_of
from vlbench.trial.limits import Limits, end_of
from vlbench.trial.session import Progress, Run, Session, run_trial
from vlbench.trial.worker import run_job

NAMES = ("host-grid", "exact", "classic", "best")
ROWS = ("baseline", *NAMES)
TIMES = ("seconds", "instances")
RESUME = "; `--resume` measures it"


def rows(session: Session, trial: int = 0) -> dict[str, VariantTrial]:
    (group,) = session.groups()
    return {each.name: each for each in group.trials[trial].variants}


@cache
def emitted_by(*names: str) -> list[Event]:
    """What a trial over these rows said, in this process."""
    emitted: list[Event] = []
    run_job(job_of(plan(*NAMES), 0, 0.02, names), emitted.append)
    return emitted


def whole(job: Job, timeout: float) -> Iterator[Event]:
    """A trial that had all the time it needed."""
    off = 1 + 1e-12 * job.trial  # no two trials have the same times
    for event in emitted_by(*(variant.name for variant in job.variants)):
        if isinstance(event, Round):
            own = {name: {key: off * each for key, each in getattr(event, name).items()} for name in TIMES}
            event = event.model_copy(update=own)
        yield event


def cut_after(count: int, kind: str) -> tuple[Run, list[Job]]:
    """A runner whose time ends after so many events of a kind, and the jobs that it was given."""
    jobs: list[Job] = []

    def run(job: Job, timeout: float) -> Iterator[Event]:
        jobs.append(job)
        seen = 0
        for event in whole(job, timeout):
            yield event
            seen += event.event == kind
            if seen == count:
                raise ChildError("exact", "no end", late=True)

    return run, jobs


def never(job: Job, timeout: float) -> Iterator[Event]:
    raise ChildError("host-grid", "no end", late=True)
    yield


def test_a_runner_that_always_runs_out_of_time_is_started_once_a_trial_and_nobody_is_blamed() -> None:
    session = Session([plan(*NAMES)], Journal(None, ""), limits=Limits(14.0), run=never)
    session.run(3, 1.0)
    (group,) = session.groups()
    assert group.trials == ()
    assert group.lost == tuple(f"trial {number}: no time left within --timeout 14s" for number in (1, 2, 3))
    assert (session.is_complete, session.died[0]) == (False, {})


@pytest.mark.parametrize("events", [1, 4])  # the reference tower is not checked, and is
def test_a_call_that_had_taken_long_when_the_time_was_over_is_named(events: int) -> None:
    def run(job: Job, timeout: float) -> Iterator[Event]:
        yield from list(whole(job, timeout))[:events]
        raise ChildError("exact", "no end", late=True, seconds=7.4)

    session = Session([plan(*NAMES)], Journal(None, ""), limits=Limits(50.0), run=run)
    session.run(1, 0.05)
    (group,) = session.groups()
    told = [str(each.not_measured) for each in rows(session).values()] if group.trials else group.lost
    assert {each.removeprefix("trial 1: ") for each in told} == {
        "no time left within --timeout 50s; the call of exact that was under way had taken 7 s"
    }


def test_checks_without_rounds_are_kept_and_the_rest_is_left() -> None:
    run, jobs = cut_after(3, "checked")
    session = Session([plan(*NAMES)], Journal(None, ""), limits=Limits(50.0), run=run)
    session.run(1, 0.05)
    found = rows(session)
    assert len(jobs) == 1
    assert [name for name, each in found.items() if each.accuracy] == ["baseline", "host-grid", "exact"]
    assert all(each.left for each in found.values())
    assert {each.not_measured for each in found.values()} == {"no time left within --timeout 50s"}


def test_rounds_of_a_trial_that_was_cut_are_kept() -> None:
    run, _ = cut_after(MIN_ROUNDS, "round")
    session = Session([plan(*NAMES)], Journal(None, ""), limits=Limits(50.0), run=run)
    session.run(1, 0.05)
    assert {len(each.timings["warm"].seconds) for each in rows(session).values()} == {MIN_ROUNDS}
    assert session.is_complete


def test_what_dies_in_the_rounds_costs_its_own_row_and_no_restart_once_there_are_enough() -> None:
    starts: list[Job] = []

    def run(job: Job, timeout: float) -> Iterator[Event]:
        starts.append(job)
        emitted = list(whole(job, timeout))
        rounds = [each for each in emitted if each.event == "round"]
        yield from [each for each in emitted if each.event in ("prepared", "checked")]
        yield from rounds[:MIN_ROUNDS]
        raise ChildError("exact", "it was ended by SIGSEGV")

    session = Session([plan(*NAMES)], Journal(None, ""), limits=Limits(50.0), run=run)
    session.run(1, 0.05)
    found = rows(session)
    assert len(starts) == 1
    assert (found["exact"].not_measured, found["exact"].timings) == ("it was ended by SIGSEGV", {})
    assert [name for name, each in found.items() if each.timings] == ["baseline", "host-grid", "classic", "best"]


def test_as_many_rounds_are_enough_as_the_intervals_of_the_job_need() -> None:
    job = job_of(plan(), 0, 1.0).model_copy(update={"confidence": 0.998})
    progress = Progress(plan(), job, "")
    for number in range(10):
        assert not progress.has_rounds
        progress.take(Round(number=number, state="warm", seconds={"baseline": 1.0}))
    assert progress.has_rounds


@pytest.fixture
def going_on(tmp_path: Path) -> Callable[..., Session]:
    """Sessions that go on from one another, each with what it is to run."""
    journal = tmp_path / "journal"

    def session(run: Run, trials: int = 1) -> Session:
        kept = Journal(journal, "", resume=journal.exists())
        limits = Limits(900, time.monotonic() + 60, "--budget 60s", RESUME)
        made = Session([plan(*NAMES)], kept, limits=limits, run=run)
        made.run(trials, 0.02)
        return made

    return session


def first_two(job: Job, timeout: float) -> Iterator[Event]:
    """As if there had been time for two rows."""
    yield from whole(job.model_copy(update={"variants": job.variants[:2]}), timeout)


def test_a_run_that_goes_on_measures_what_was_left_beside_the_reference(going_on: Callable[..., Session]) -> None:
    first = going_on(first_two, trials=2)
    assert not first.is_complete
    why = f"no time left within --budget 60s{RESUME}"
    assert [each.not_measured for each in rows(first).values()] == [None, None, why, why, why]

    second = going_on(whole, trials=2)
    assert second.is_complete
    (group,) = second.groups()
    assert [trial.number for trial in group.trials] == [0, 1, 4, 5]
    for number in (2, 3):
        found = rows(second, number)
        assert list(found) == ["baseline", "exact", "classic", "best"]
        assert all(each.timings for each in found.values())

    third = going_on(never, trials=2)  # nothing is left to run
    assert third.is_complete
    assert third.groups() == [group]


def test_trials_for_which_there_is_no_time_are_named_and_measured_later(going_on: Callable[..., Session]) -> None:
    spent: list[int] = []

    def once(job: Job, timeout: float) -> Iterator[Event]:
        spent.append(job.trial)
        yield from whole(job, timeout) if len(spent) == 1 else never(job, timeout)

    first = going_on(once, trials=2)
    (group,) = first.groups()
    assert group.lost == (f"trial 2: no time left within --budget 60s{RESUME}",)
    (group,) = going_on(whole, trials=2).groups()
    assert (len(group.trials), group.lost) == (2, ())


@pytest.mark.parametrize(("kind", "about"), [("fed-in", ""), ("estimated", r"; it takes about \d+ s")])
def test_where_no_row_was_timed_a_larger_budget_is_offered_in_place_of_resume(
    tmp_path: Path, kind: str, about: str
) -> None:
    run, _ = cut_after(1, kind)
    limits = Limits(900, time.monotonic() + 60, "--budget 60s", RESUME, "give a larger `--budget`")
    session = Session([plan(*NAMES)], Journal(tmp_path / "journal", ""), limits=limits, run=run)
    session.run(1, 0.02)
    (group,) = session.groups()
    told = [str(each.not_measured) for each in rows(session).values()] if group.trials else group.lost
    why = f"no time left within --budget 60s, and no row was timed{about}; give a larger `--budget`"
    assert all(re.fullmatch(f"(trial 1: )?{why}", each) for each in told), told
    assert len(told) == (1 if kind == "fed-in" else 5)


def test_the_estimate_is_told_before_the_rounds() -> None:
    told: list[str] = []

    def watch(progress: Progress) -> None:
        if progress.told and not progress.rounds:
            told.append(progress.told)

    def short(job: Job, timeout: float) -> Iterator[Event]:
        run_job(job.model_copy(update={"by": 0.0}), (emitted := list[Event]()).append)
        yield from emitted

    limits = Limits(900, time.monotonic() + 60, "--budget 30s", RESUME)
    session = Session([plan(*NAMES)], Journal(None, ""), limits=limits, run=short, watch=watch)
    session.run(1, 0.02)
    assert told[0].endswith("s for 5 rows; the last 4 cannot fit in --budget 30s: left for --resume")


@pytest.mark.slow
@pytest.mark.usefixtures("misbehaving")
def test_a_slow_tower_is_not_a_dead_one_and_the_trial_ends_in_its_time() -> None:
    """In its real process: each call of the second row takes 0.4 s, and nothing of it is anybody's fault."""
    start = time.monotonic()
    limits = Limits(900, start + 9, "--budget 9s", RESUME)
    session = Session([plan("host-grid", "is-slow", "exact")], Journal(None, ""), limits=limits, run=run_trial)
    session.run(1, 60)
    assert time.monotonic() - start < 9.5
    assert session.died[0] == {}
    found = rows(session)
    assert found["baseline"].timings or found["baseline"].left
    assert {each.not_measured for each in found.values() if each.left} <= {f"no time left within --budget 9s{RESUME}"}


@pytest.mark.usefixtures("misbehaving")
def test_an_error_that_sticks_to_the_device_names_its_row_and_the_rest_goes_on_in_a_new_process() -> None:
    """The third row loses the device, as an illegal access of a kernel does: whoever asks it from then on, raises."""
    session = Session([plan("host-grid", "loses-the-device", "exact")], Journal(None, ""), limits=Limits(600))
    session.run(1, 0.05)
    found = rows(session)
    assert list(session.died[0]) == ["loses-the-device"]
    assert "an illegal memory access was encountered" in str(found["loses-the-device"].not_measured)
    assert [name for name, each in found.items() if each.timings] == ["baseline", "host-grid", "exact"]


def test_a_budget_leaves_time_to_write() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vlbench.trial.limits.WRITING", 1.0)
        assert (end_of(100.0, 60.0), end_of(100.0, 1.0)) == (159.0, 100.9)


def test_what_stands_out_in_a_later_piece_is_measured_again_too(tmp_path: Path) -> None:
    """A quick look that goes on: what stood out in the first piece was confirmed there."""
    journal = tmp_path / "journal"
    for run, suspects, numbers in ((first_two, ["host-grid"], [0, 1]), (whole, ["host-grid", "best"], [0, 1, 2, 3])):
        kept = Journal(journal, "", resume=journal.exists())
        session = Session([plan(*NAMES)], kept, limits=Limits(900, time.monotonic() + 60, "--budget 60s"), run=run)
        session.vote(1, 0.04, lambda index, group, names=suspects: names)  # type: ignore[misc]
        (group,) = session.groups()
        assert [trial.number for trial in group.trials] == numbers
    assert [each.name for each in group.trials[-1].variants] == ["baseline", "best"]
    assert group.trials[-1].confirms
    assert is_quick_look(group)
