"""What the harness does on a GPU, to the end and without one: `tests.cuda_stand_ins` says what stands in for it."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import vlbench
from tests.cuda_stand_ins import BUSY, ON_CUDA, UUID, cuda
from tests.trial.plans import MIN_ROUNDS, MODEL, POINT, python_path, work_in
from vlbench.api.running import FEW
from vlbench.counting.job import Counted, CountJob, Point
from vlbench.counting.worker import run_job as run_count
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, Exactness
from vlbench.matrix.plan import CellFilter, Plan, Settings, plans_of
from vlbench.matrix.seams import fed_to_seams
from vlbench.matrix.targets import model_target
from vlbench.record.counts import Tally
from vlbench.record.journal import Journal
from vlbench.record.schema import State, Trial, VariantTrial
from vlbench.towers.variants import TOLD_ON_CUDA, Variant, parse_variant, unique
from vlbench.trial.job import Round, job_of
from vlbench.trial.limits import Limits
from vlbench.trial.session import Session
from vlbench.trial.settle import settle
from vlbench.trial.tower_bench import TowerBench
from vlbench.trial.worker import run_job

pytestmark = pytest.mark.slow

CONFIG = MODELS[MODEL]
STATES: tuple[State, ...] = ("warm", "cold", "churn", "behind")


def on_cuda_alone() -> list[str]:
    """Every flag that a CPU cannot run, each with what it needs."""
    names = [name for name, flag in OPTIMIZATIONS.items() if flag.inapplicable(CONFIG, "cpu")]
    return ["+".join([*OPTIMIZATIONS[name].requires, name]) for name in names if is_of_cuda(name)]


def is_of_cuda(name: str) -> bool:
    return OPTIMIZATIONS[name].inapplicable(CONFIG, "cuda") is None


def rows() -> list[Variant]:
    """The reference tower, all presets and all flags of CUDA's."""
    presets = [name for name in PRESETS if name != "baseline"]
    return unique(parse_variant(name, CONFIG, "cuda") for name in ["no-flags", *presets, *on_cuda_alone()])


def plan(**fields: Any) -> Plan:
    given: dict[str, Any] = {"point": POINT, "model": MODEL, "dtype": "bfloat16", "device": "cuda", "variants": rows()}
    return Plan(**given | fields)


@cache
def measured() -> Trial:
    """One trial over all rows in all states, in its real process, which has a GPU that stands in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(ON_CUDA))
        session = Session([plan(states=STATES)], Journal(None, ""), limits=Limits(300))
        session.run(1, 0.05)
    (group,) = session.groups()
    assert (group.lost, dict(session.died[0]), session.is_complete) == ((), {}, True)
    (trial,) = group.trials
    return trial


def test_every_row_is_measured_in_every_state() -> None:
    trial = measured()
    assert {"pinned-h2d", "packed-h2d", "device-pos-ids", "best", "classic"} < {each.name for each in trial.variants}
    assert [each.name for each in trial.variants] == [each.name for each in rows()]
    for each in trial.variants:
        assert each.not_measured is None, each
        assert tuple(each.timings) == STATES
        for timing in each.timings.values():
            assert len(timing.seconds) >= MIN_ROUNDS
            assert len(timing.host_seconds) == len(timing.seconds)
            assert all(0 < seconds < math.inf for seconds in (*timing.seconds, *timing.host_seconds))
    assert (trial.throttled_rounds, trial.order.keys()) == ((), set(STATES))


def test_what_claims_to_be_bit_exact_is_so_in_fp32_and_the_rest_in_its_class() -> None:
    exact = {each.name for each in rows() if each.exactness is Exactness.BIT_EXACT}
    assert exact > {"baseline", "no-flags", "exact"}
    for each in measured().variants:
        assert each.accuracy is not None
        assert each.accuracy.passed, each
        assert each.accuracy.timed_error is not None
        assert (each.accuracy.fp32_error == 0.0) is (each.name in exact), each.name


def test_caches_are_read_when_warm_and_empty_when_cold() -> None:
    found = {each.name: each for each in measured().variants}
    rates = {state: timing.hit_rate for state, timing in found["best"].timings.items()}
    assert (rates["warm"], rates["behind"]) == (1.0, 1.0)
    assert rates["cold"] is not None
    assert rates["churn"] is not None
    assert rates["cold"] < rates["churn"] < 1.0
    assert found["baseline"].timings["warm"].hit_rate is None


def test_stages_are_told_and_how_long_the_gpu_was_busy_without_annotations() -> None:
    for each in measured().variants:
        assert {"plan", "patch_embed", "attention", "merger"} <= each.stages.keys(), each.name
        spans = [sum(shares) for shares in zip(*each.stages.values(), strict=True)]
        assert each.busy_seconds is not None
        assert 0.2 * BUSY * min(spans) < each.busy_seconds < 5 * BUSY * max(spans)


def asked_in_the_bench() -> dict[str, Tally]:
    """What a forward that is timed asks of the GPU, by row."""
    asked = {}
    with cuda() as device:
        job = job_of(plan(), 0, 0.0)
        settle(job.threads)
        bench = TowerBench(job)
        for variant in job.variants:
            subject = bench.another(variant)
            own = subject.prepare(bench.inputs.fresh(bench.inputs.rotating[0]))
            with device.count() as counter:
                subject.run(own)
            asked[variant.name] = counter.report.total
    return asked


def attention_calls(each: VariantTrial) -> int:
    assert each.counts is not None
    return each.counts.attention_calls


def test_each_row_asks_for_what_count_counts() -> None:
    names = [each.name for each in rows() if each.name not in ("baseline", "no-flags")]
    asked, grids = asked_in_the_bench(), measured().grids
    point = Point(scenario="small", label="", grids=grids)
    job = CountJob(towers=(MODEL,), variants=tuple(names), points=(point,), profile="sm_90", dtype="bfloat16")
    events: list[Any] = []
    run_count(job, events.append)
    counted = {each.row.name: each.row.warm.counts.total for each in events if isinstance(each, Counted)}
    assert counted == {name: asked[name] for name in ("baseline", *names)}
    assert asked["no-flags"] == asked["baseline"]
    assert asked["baseline"].host_syncs > 100 * (asked["best"].host_syncs + 1)
    calls = {each.name: attention_calls(each) for each in measured().variants}
    assert calls == {name: tally.attention_calls for name, tally in asked.items()}


@pytest.mark.parametrize("throttled", [False, True])
def test_a_board_that_is_throttled_is_seen_in_each_round(throttled: bool) -> None:
    events: list[Any] = []
    with cuda(throttled=throttled):
        run_job(job_of(plan(variants=rows()[:2], stages=False), 0, 0.01), events.append)
    assert {each.throttled for each in events if isinstance(each, Round)} == {throttled}


def test_seams_that_only_a_gpu_has_are_measured() -> None:
    with cuda(), pytest.MonkeyPatch.context() as patch:
        target = model_target(MODEL, "cuda", "float32", ())
        fed = fed_to_seams(["transfer", "pinning"], [target], ["warm"])
        plans = plans_of(fed, CellFilter({"point": ("1KB",)}), Settings())
        patch.setenv("PYTHONPATH", python_path(ON_CUDA))
        session = Session(plans, Journal(None, ""), limits=Limits(100))
        session.run(1, 0.01)
    for group, names in zip(session.groups(), ({"pinned-h2d", "packed-h2d"}, {"skip-repin"}), strict=True):
        (trial,) = group.trials
        assert names < {each.name for each in trial.variants}
        assert [each.not_measured for each in trial.variants] == [None] * len(trial.variants)


def test_a_run_that_names_no_rows_tells_the_few_of_cuda_and_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_in(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", python_path(ON_CUDA))
    with cuda():
        found = vlbench.run("small.toml", model=MODEL, dtype="float32", budget=1, card=False, progress=False)
    (group,) = found.record.groups
    assert [row.name.rpartition("+")[2] for row in group.rows] == ["baseline", *TOLD_ON_CUDA]
    assert (group.device, group.lost, found.record.complete) == ("cuda", (), True)
    assert all(each.timings for each in group.trials[0].variants)
    assert FEW in found.notes
    seen = found.record.fingerprint
    assert (seen.gpu, seen.gpu_uuid, seen.power_limit_w) == ("NVIDIA H100 80GB HBM3", f"GPU-{UUID}", 700.0)
