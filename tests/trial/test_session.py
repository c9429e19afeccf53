from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from tests.trial.plans import MIN_ROUNDS, POINT, plan
from vlbench.judging.ratios import instance_ratios, trial_ratio
from vlbench.matrix.plan import Plan
from vlbench.matrix.targets import tower_targets
from vlbench.process.child import ChildError
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup, State, VariantTrial
from vlbench.towers.variants import Variant
from vlbench.trial.job import Estimated, Event, FirstKernel, Job, Prepared, Round
from vlbench.trial.limits import Limits
from vlbench.trial.session import Progress, Run, Session, Suspects
from vlbench.trial.worker import run_job

pytestmark = pytest.mark.usefixtures("misbehaving")

ASKED = ("is-killed", "wrong-cos", "raises", "tells-folders", "is-killed-late", "prints", "rope-cache")


@pytest.fixture(scope="module")
def watched() -> list[tuple[int, int]]:
    """Variants checked and rounds run, at each event."""
    return []


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session") / "journal.jsonl"


@pytest.fixture(scope="module")
def measured(misbehaving: object, watched: list[tuple[int, int]], journal: Path) -> CellGroup:
    """Three processes: two are killed by a variant each, the third ends well."""

    def watch(progress: Progress) -> None:
        watched.append((len(progress.checked), len(progress.rounds)))

    session = Session([plan(*ASKED, states=("warm", "cold"))], Journal(journal, ""), limits=Limits(600), watch=watch)
    session.run(1, 0.1)
    (group,) = session.groups()
    return group


def found(group: CellGroup, name: str) -> VariantTrial:
    (trial,) = group.trials
    variant = trial.find(name)
    assert variant
    return variant


def test_every_variant_has_its_row_in_the_order_asked_for(measured: CellGroup) -> None:
    assert [row.name for row in measured.rows] == ["baseline", *ASKED]
    assert {variant.name for variant in measured.trials[0].variants} == {"baseline", *ASKED}
    assert measured.trials[0].batch == "2 noise images, 48 patches, 12 tokens"
    assert measured.trials[0].grids == ((1, 4, 6), (1, 4, 6))
    assert measured.key == ("small", "", "qwen2.5-vl-tiny", "float32", "cpu")
    assert measured.lost == ()


def test_right_variants_are_timed_in_the_same_rounds_and_counted(measured: CellGroup) -> None:
    timed = [variant for variant in measured.trials[0].variants if variant.timings]
    assert [variant.name for variant in timed] == ["baseline", "prints", "rope-cache"]
    for variant in timed:
        assert variant.timings.keys() == {"warm", "cold"}
        for timing in variant.timings.values():
            assert len(timing.seconds) >= MIN_ROUNDS
            assert all(0 < one < 60 for one in timing.seconds)
        assert variant.accuracy
        assert variant.accuracy.passed
        assert variant.counts
        assert {"forward", "attention", "mlp"} <= variant.stages.keys()
        assert variant.first_seconds
        assert variant.not_measured is None
    assert found(measured, "prints").counts == found(measured, "baseline").counts


def test_the_hit_rate_is_that_of_the_state(measured: CellGroup) -> None:
    timings = found(measured, "rope-cache").timings
    assert timings["warm"].hit_rate is not None
    assert timings["cold"].hit_rate is not None
    assert timings["cold"].hit_rate < timings["warm"].hit_rate
    assert found(measured, "baseline").timings["warm"].hit_rate is None


def test_a_wrong_variant_fails_and_has_no_time(measured: CellGroup) -> None:
    wrong = found(measured, "wrong-cos")
    assert (wrong.timings, wrong.counts, wrong.stages) == ({}, None, {})
    assert wrong.accuracy
    assert not wrong.accuracy.passed
    assert wrong.accuracy.worst_token
    assert wrong.not_measured == wrong.accuracy.reason
    assert "not bit-exact in fp32" in (wrong.not_measured or "")


def test_a_variant_that_raises_fails_with_its_own_words(measured: CellGroup) -> None:
    assert found(measured, "raises").not_measured == "raised RuntimeError: out of luck"


def test_what_is_compiled_is_kept_in_folders_of_the_process_which_end_with_it(measured: CellGroup) -> None:
    reason = found(measured, "tells-folders").not_measured
    assert reason
    inductor, triton = map(Path, reason.removeprefix("raised RuntimeError: ").split())
    assert (inductor.name, triton.name) == ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    assert inductor.parent == triton.parent
    assert inductor.parent.name.startswith("vlbench-")
    assert not inductor.parent.exists()


@pytest.mark.parametrize("name", ["is-killed", "is-killed-late"])
def test_a_variant_that_kills_its_process_is_struck_and_says_why(measured: CellGroup, name: str) -> None:
    struck = found(measured, name)
    assert (struck.accuracy, struck.timings) == (None, {})
    assert struck.not_measured == "its process was ended by SIGKILL (out of memory?)"


def test_the_watcher_sees_checks_and_rounds_grow(measured: CellGroup, watched: list[tuple[int, int]]) -> None:
    assert max(checked for checked, _ in watched) == len(ASKED)  # and the reference tower, less the one that was struck
    assert max(rounds for _, rounds in watched) == 2 * len(found(measured, "baseline").timings["warm"].seconds)


def test_the_journal_gives_it_all_back_without_a_process(
    measured: CellGroup, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    resumed = Session([plan(*ASKED, states=("warm", "cold"))], Journal(journal, "", resume=True), limits=Limits(600))
    resumed.run(1, 0.1)
    assert resumed.groups() == [measured]
    assert resumed.died[0].keys() == {"is-killed", "is-killed-late"}


def test_a_reference_tower_that_dies_costs_the_trial() -> None:
    hopeless = plan("is-killed")
    hopeless = replace(hopeless, variants=[replace(hopeless.variants[1], flags=("is-killed",))])
    session = Session([hopeless], Journal(None, ""), limits=Limits(600))
    session.run(1, 0)
    assert [session.journal.trials(0), session.journal.lost(0)] == [
        [],
        ["trial 1: its process was ended by SIGKILL (out of memory?)"],
    ]


def test_a_refused_plan_is_lost_once_where_others_are_to_go_on(tmp_path: Path) -> None:
    session = Session([plan("host-grid", weights=tmp_path)], Journal(None, ""), limits=Limits(600), keep_going=True)
    session.run(2, 0)
    (group,) = session.groups()
    assert group.trials == ()
    (reason,) = group.lost
    assert str(tmp_path) in reason


def test_a_session_runs_trials_as_it_is_told() -> None:
    """With whatever gives the events of a trial, such as a pair of processes."""
    asked: list[tuple[int, float]] = []

    def run(job: Job, timeout: float) -> Iterator[Event]:
        asked.append((job.trial, timeout))
        emitted: list[Event] = []
        run_job(job, emitted.append)
        yield from emitted

    session = Session([plan("host-grid")], Journal(None, ""), limits=Limits(7.0), run=run)
    session.run(2, 0.01)
    (group,) = session.groups()
    assert asked == [(0, 7.0), (1, 7.0)]
    assert [len(trial.variants) for trial in group.trials] == [2, 2]


def leaving_out(asked: list[Job], late: Callable[[Job], Sequence[str]] = lambda job: ()) -> Run:
    """Runs trials here, and says nothing of the rows that are `late` in them; `asked` are the jobs so far."""

    def run(job: Job, timeout: float) -> Iterator[Event]:
        asked.append(job)
        emitted: list[Event] = []
        run_job(job, emitted.append)
        yield from (event for event in emitted if getattr(event, "variant", "") not in late(job))

    return run


def toys(*names: str) -> Plan:
    """These towers of nobody's, the first of which is the reference tower."""
    (target,) = tower_targets([f"tests.towers.toys:{name}" for name in names], "cpu", ["float32"], None)
    return Plan(POINT, target.model, target.dtype, "cpu", target.variants)


@pytest.mark.parametrize(
    ("row", "check_all", "briefly", "further"),
    [
        ("Again", False, [False, True, True], [2, 0, 0]),
        ("Again", True, [False, False, False], [0, 0, 0]),
        ("WrongOnVideo", False, [False, False, False], [2, 0, 0]),  # a brief check, of images, would not see it
    ],
)
def test_rows_that_all_passed_are_checked_briefly_from_then_on(
    row: str, check_all: bool, briefly: list[bool], further: list[int]
) -> None:
    asked: list[Job] = []
    plan, run = toys("Toy", row), leaving_out(asked)
    session = Session([plan], Journal(None, ""), limits=Limits(60), run=run, check_all=check_all)
    session.run(3, 0.01)
    assert [job.briefly for job in asked] == briefly
    assert [job.further for job in asked] == further
    ((*trials,),) = [group.trials for group in session.groups()]
    found = [each for trial in trials if (each := trial.find(plan.variants[1].name))]
    assert [bool(each.timings) for each in found] == [row == "Again"] * 3


def test_what_the_first_trial_had_no_time_for_the_others_leave_as_well() -> None:
    """They have the time that it left them, which is for the same rows."""
    asked: list[Job] = []
    run = leaving_out(asked, lambda job: [] if job.briefly else ["tests.towers.toys:Fused"])
    plan = toys("Toy", "Again", "Fused")
    session = Session([plan], Journal(None, ""), limits=Limits(60), run=run)
    session.run(2, 0)
    assert [len(job.variants) for job in asked] == [3, 2]
    ((*trials,),) = [group.trials for group in session.groups()]
    assert [[each.left for each in trial.variants] for trial in trials] == [[False, False, True]] * 2
    assert not session.is_complete


def test_a_row_that_passed_once_is_measured_again_though_a_trial_had_no_time_for_it() -> None:
    """The second checks everything, since a row failed in the first, and has no time for the last two."""
    asked: list[Job] = []
    run = leaving_out(asked, lambda job: [each.name for each in job.variants[2:]] if len(asked) == 2 else [])
    session = Session([toys("Toy", "Again", "Fused", "WrongOnVideo")], Journal(None, ""), limits=Limits(60), run=run)
    session.run(3, 0)
    assert [(len(job.variants), job.briefly) for job in asked] == [(4, False), (4, False), (3, True)]


@pytest.mark.parametrize(
    ("suspected", "seconds", "confirming"),
    [
        (None, 10.0, []),  # too few trials for a vote, so that nothing is kept for a second one
        (0, 5.0, []),
        (1, 5.0, [2.5] * 3),  # two of eight variants: twice as many rounds, in half of the time
        (7, 5.0, [5.0] * 3),
    ],
)
def test_half_of_the_time_is_kept_for_confirming(
    suspected: int | None, seconds: float, confirming: list[float]
) -> None:
    """Sixty seconds, for two plans and three trials over each; the first plan alone has suspects."""
    copies = [Variant(f"copy {number}", None) for number in range(7)]
    many = replace(plan(), variants=[*plan().variants, *copies])
    asked: list[Job] = []

    def run(job: Job, timeout: float) -> Iterator[Event]:
        asked.append(job)
        raise ChildError(None, "it was only asked")

    def suspects(index: int, group: CellGroup) -> list[str]:
        return [copy.name for copy in copies[: suspected or 0]] if index == 0 else []

    session = Session([many, many], Journal(None, ""), limits=Limits(60), run=run)
    session.vote(3, 60.0, None if suspected is None else suspects)
    assert [job.seconds for job in asked] == [seconds] * 6 + confirming
    assert {len(job.variants) for job in asked[6:]} == ({1 + suspected} if suspected else set())
    assert sum(job.seconds for job in asked) <= 60.0


@pytest.mark.parametrize(
    ("suspects", "check_all", "needed"),
    [
        (None, False, 5 * 7 + 30 + 4 * 12),
        (None, True, 5 * 7 + 5 * 30),
        (lambda index, group: [], False, 2 * (5 * 7 + 30 + 4 * 12)),  # half of the time is kept for confirming
    ],
)
def test_the_time_needed_counts_each_beginning_and_each_check_once(
    suspects: Suspects | None, check_all: bool, needed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five trials, each of which begins for 7 s; the first check, of 10 s, is a part of the 30 s that follow."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def run(job: Job, timeout: float) -> Iterator[Event]:
        clock[0] += 7.0
        yield Prepared.model_construct()
        clock[0] += 10.0
        yield Estimated(seconds=30.0, again=12.0, fitting=1)
        raise ChildError(None, "it was only asked")

    told = list[float]()
    session = Session(
        [plan()],
        Journal(None, ""),
        limits=Limits(600),
        watch=lambda progress: told.append(progress.needs),
        run=run,
        check_all=check_all,
    )
    session.vote(5, 60.0, suspects)
    assert told[1::2] == [pytest.approx(needed)] * 5


@pytest.mark.parametrize("copies", [1, 7])
def test_the_order_of_the_readings_is_kept_with_every_instance_of_the_reference(copies: int) -> None:
    many = replace(plan(), variants=[*plan().variants, *(Variant(f"copy {number}", None) for number in range(copies))])

    def run(job: Job, timeout: float) -> Iterator[Event]:
        emitted: list[Event] = []
        run_job(job, emitted.append)
        yield from emitted

    session = Session([replace(many, states=("warm", "cold"))], Journal(None, ""), limits=Limits(60), run=run)
    session.run(1, 0.01)
    ((trial,),) = [group.trials for group in session.groups()]
    assert trial.order.keys() == {"warm", "cold"}
    for places in trial.order["warm"]:
        assert sorted(places) == [*range(copies + 3)]
    assert trial.instances("warm") == (0, copies + 1, copies + 2)
    timing = trial.variants[0].timings["warm"]
    assert [median(calls) for calls in timing.calls] == [*timing.seconds]
    ratio = trial_ratio(trial, "copy 0", "baseline", "warm")
    assert ratio is not None
    assert ratio.rounds == len(trial.order["warm"])
    assert 0.9 < math.prod(each.ratio for each in instance_ratios(trial, "warm")) < 1.1


def test_what_a_gpu_was_seen_to_do_is_kept() -> None:
    """Of a trial in two states, in which the clock was held back twice."""
    reasons: dict[tuple[int, State], tuple[str, ...]] = {
        (0, "warm"): ("power cap",),
        (3, "behind"): ("power cap", "power brake"),
    }

    def run(job: Job, timeout: float) -> Iterator[Event]:
        emitted: list[Event] = []
        run_job(job.model_copy(update={"states": ("warm",)}), emitted.append)
        for event in emitted:
            if not isinstance(event, Round):
                yield event
                continue
            for state, queue in (("warm", None), ("behind", 7e-3)):
                told = {"state": state, "queue_seconds": queue, "throttled": reasons.get((event.number, state), ())}
                yield event.model_copy(update=told)
        yield FirstKernel(variant="host-grid", seconds=2e-4)

    on_gpu = replace(plan("host-grid"), states=("warm", "behind"))
    session = Session([on_gpu], Journal(None, ""), limits=Limits(60), run=run)
    session.run(1, 0.01)
    ((trial,),) = [group.trials for group in session.groups()]
    assert trial.throttled_rounds == (0, 3)
    assert trial.throttled_by == {"power cap": 2, "power brake": 1}
    told = [
        (timing.queue_seconds, timing.first_kernel_seconds)
        for variant in trial.variants
        for timing in (variant.timings["warm"], variant.timings["behind"])
    ]
    assert told == [(None, None), (7e-3, None), (None, None), (7e-3, 2e-4)]


def test_a_group_names_the_pictures_that_were_fed_in() -> None:
    assert plan("host-grid", images=(Path("cat.jpg"),)).group([], []).images == ("cat.jpg",)
    assert plan("host-grid").group([], []).images == ()
