"""What the harness does on a GPU, to the end and without one: `tests.cuda_stand_ins` says what stands in for it."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch

from tests.cuda_stand_ins import BUSY, ON_CUDA, UUID, cuda
from tests.trial.plans import MIN_ROUNDS, MODEL, POINT, python_path
from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, USUAL, Exactness, with_requirements
from vlbench.matrix.plan import CellFilter, Plan, Settings, plans_of
from vlbench.matrix.seams import fed_to_seams
from vlbench.matrix.targets import model_target
from vlbench.record.counts import Tally
from vlbench.record.fingerprint import take_fingerprint
from vlbench.record.journal import Journal
from vlbench.record.schema import State, Trial
from vlbench.towers.variants import TOLD_ON_CUDA, Variant, parse_variant, unique
from vlbench.trial.job import job_of
from vlbench.trial.limits import Limits
from vlbench.trial.rounds import HIDDEN
from vlbench.trial.session import Session
from vlbench.trial.settle import settle
from vlbench.trial.store import Here
from vlbench.trial.tower_bench import TowerBench

pytestmark = pytest.mark.slow(30)

CONFIG = MODELS[MODEL]
STATES: tuple[State, ...] = ("warm", "cold", "churn", "behind")


def on_cuda_alone() -> list[str]:
    """Every flag that a CPU cannot run, each with what it needs."""
    names = [name for name, flag in OPTIMIZATIONS.items() if flag.inapplicable(CONFIG, "cpu")]
    names = [name for name in names if OPTIMIZATIONS[name].inapplicable(CONFIG, "cuda") is None]
    return ["+".join([*sorted(with_requirements([name]) - {name}), name]) for name in names]


def rows() -> list[Variant]:
    """The reference tower, all presets and all flags of CUDA's."""
    presets = [name for name in USUAL if name != "baseline"]
    return unique(parse_variant(name, CONFIG, "cuda") for name in ["no-flags", *presets, *on_cuda_alone()])


def plan(**fields: Any) -> Plan:
    given: dict[str, Any] = {"point": POINT, "model": MODEL, "dtype": "float32", "device": "cuda", "variants": rows()}
    return Plan(**given | fields)


@cache
def measured() -> Trial:
    """One trial over all rows in all states."""
    return trial_of(plan(states=STATES))


def trial_of(one: Plan) -> Trial:
    """One trial, in its real process, which has a GPU that stands in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(ON_CUDA))
        session = Session([one], Journal(None, ""), limits=Limits(300))
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
    assert trial.order.keys() == set(STATES)
    assert set(trial.throttled_rounds) == set(range(len(trial.variants[0].timings["warm"].seconds)))


@pytest.mark.parametrize("model", ["qwen3-vl-tiny", "qwen3.5-tiny"])
def test_towers_of_other_families_are_measured_with_the_flags_that_they_alone_have(model: str) -> None:
    config = MODELS[model]
    own = [
        "+".join([*sorted(with_requirements([name]) - {name}), name])
        for name, flag in OPTIMIZATIONS.items()
        if flag.inapplicable(CONFIG, "cuda") and flag.inapplicable(config, "cuda") is None
    ]
    assert any("pos-embed" in name for name in own)
    variants = unique(parse_variant(name, config, "cuda") for name in ["no-flags", "best", "exact", *own])
    states: tuple[State, ...] = ("warm", "churn")
    trial = trial_of(plan(model=model, variants=variants, states=states))
    assert [each.name for each in trial.variants] == [each.name for each in variants]
    for each in trial.variants:
        assert each.not_measured is None, each
        assert each.accuracy is not None
        assert each.accuracy.passed, each
        assert tuple(each.timings) == states


def test_what_claims_to_be_bit_exact_is_so_in_fp32_and_the_rest_in_its_class() -> None:
    exact = {each.name for each in rows() if each.exactness is Exactness.BIT_EXACT}
    assert exact > {"baseline", "no-flags", "exact"}
    for each in measured().variants:
        assert each.accuracy is not None
        assert each.accuracy.passed, each
        assert each.name not in exact or each.accuracy.fp32_error == 0.0, each.name
    assert any(each.accuracy and each.accuracy.fp32_error for each in measured().variants)


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
        bench = TowerBench(job, Here())
        for variant in job.variants:
            subject = bench.another(variant)
            own = subject.prepare(bench.inputs.fresh(bench.inputs.rotating[0]))
            with device.count() as counter:
                subject.run(own)
            asked[variant.name] = counter.report.total
    return asked


def test_each_row_asks_for_what_count_counts() -> None:
    names = [each.name for each in rows() if each.name not in ("baseline", "no-flags")]
    asked, grids = asked_in_the_bench(), measured().grids
    point = Point(scenario="small", label="", grids=grids)
    counted = {}
    with CountingDevice("ghost", "sm_90") as device:
        for name in ("baseline", *names):
            (found, _) = count_tower(device, Row(name, f"{MODEL}+{name}"), point, torch.float32)
            assert found.warm is not None, found.failed
            counted[name] = found.warm.counts.total
    assert counted == {name: asked[name] for name in ("baseline", *names)}
    assert asked["no-flags"] == asked["baseline"]
    assert asked["baseline"].host_syncs > 50
    assert asked["best"].host_syncs == 0


def test_seams_that_only_a_gpu_has_are_measured() -> None:
    with cuda(), pytest.MonkeyPatch.context() as patch:
        target = model_target(MODEL, "cuda", "float32", ())
        fed = fed_to_seams(["transfer", "pinning"], [target], ["warm"])
        plans = plans_of(fed, CellFilter({"point": ("1KB",)}), Settings())
        patch.setenv("PYTHONPATH", python_path(ON_CUDA))
        session = Session(plans, Journal(None, ""), limits=Limits(100))
        session.run(1, 0.01)
    for group, names in zip(session.groups(), ({"pinned-h2d", "packed-h2d"}, {"inverse-pinned"}), strict=True):
        (trial,) = group.trials
        assert names < {each.name for each in trial.variants}
        assert {each.not_measured for each in trial.variants} <= {None, HIDDEN}  # on a busy machine a call is too short
        assert all(each.accuracy and each.counts for each in trial.variants)


def test_the_board_and_the_rows_of_a_run_that_names_none() -> None:
    with cuda():
        target, seen = model_target(None, "cuda", None, (), few=True), take_fingerprint("cuda")
    assert [each.name.rpartition("+")[2] for each in target.variants] == ["baseline", *TOLD_ON_CUDA]
    assert (seen.gpu, seen.gpu_uuid, seen.power_limit_w) == ("NVIDIA H100 80GB HBM3", f"GPU-{UUID}", 700.0)
