"""What is measured on CUDA where no rows are named ends within the budget, with the call times of a real tower.

The job, the pace, the rounds and the judging are real; the GPU stands in, each call takes what it is said to take, and
time passes by that alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.cuda_stand_ins import VirtualTime, cuda
from tests.trial.plans import POINT
from vlbench.api import measuring, recommending
from vlbench.api.measuring import Effort, measure
from vlbench.api.running import BUDGETS
from vlbench.implementations.config import MODELS
from vlbench.implementations.weights import SharedTensors
from vlbench.judging.summary import Summary, summaries, why_incomplete
from vlbench.judging.verdict import Floors
from vlbench.matrix.plan import Plan
from vlbench.matrix.targets import Target, with_handed_in
from vlbench.record.fingerprint import take_fingerprint
from vlbench.record.preset_file import read_preset
from vlbench.record.schema import Results
from vlbench.towers.variants import unique, variants_on_cuda
from vlbench.trial import limits, tower_set
from vlbench.trial.job import Event, Job
from vlbench.trial.worker import run_job

pytestmark = pytest.mark.slow

MODEL = "qwen2.5-vl-7b"
START = 13.0
"""Seconds for a process to import torch, open the GPU and draw the weights of 7B."""
OTHER_BATCH = 0.1
"""Of the timed batch's time: the awkward grids have a fifteenth of its windows."""
JITTER = 0.002
ROWS = ["baseline", "best", "exact", "host-seqlens", "host-seqlens+batched-windows", "classic"]
MULTI_IMAGE = {"waits": 1.2, "classic": 1.6, "exact": 0.09, "without waits": 0.06, "batched": 0.012}
SINGLE_IMAGE = {"waits": 0.12, "classic": 0.16, "exact": 0.014, "without waits": 0.011, "batched": 0.008}
Prices = dict[str, float]


def price(flags: tuple[str, ...] | None, prices: Prices) -> float:
    """Seconds of a call of the tower with these flags."""
    chosen = set(flags or ())
    if "host-seqlens" not in chosen:
        return prices["classic" if "sdpa-prealloc" in chosen else "waits"]
    if "batched-windows" in chosen:
        return prices["batched"]
    return prices["exact" if "sdpa-prealloc" in chosen else "without waits"]


class Priced(nn.Module):
    """A tower whose calls take so many seconds; its tokens are right."""

    def __init__(self, seconds: float, patches: int, draw: random.Random, clock: VirtualTime) -> None:
        super().__init__()
        self.seconds, self.patches, self.draw, self.clock = seconds, patches, draw, clock

    def plan(self, grid_thw: Tensor, *, host_lengths: bool = False) -> Tensor:
        """All that follows from the grids, which is nothing here, and takes a millisecond."""
        self.clock.sleep(1e-3)
        return grid_thw

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, plan: Tensor | None = None) -> Tensor:
        share = 1.0 if len(pixels) == self.patches else OTHER_BATCH
        self.clock.sleep(self.seconds * share * (1 + JITTER * self.draw.uniform(-1, 1)))
        return pixels[: len(pixels) // 4, :8].clone()


@contextmanager
def on_a_clock(prices: Prices) -> Iterator[VirtualTime]:
    """Measuring processes run in this one, on a GPU that stands in, with towers that take what they cost."""
    draw, patches = random.Random(0), 2 * 4 * 6

    def run(job: Job, timeout: float) -> Iterator[Event]:
        said: list[tuple[float, Event]] = []
        clock.sleep(START)
        with cuda():
            run_job(job, lambda event: said.append((clock.at, event)))
        for clock.at, event in said:  # each is heard when it was said
            yield event

    def build(config: Any, flags: tuple[str, ...] | None, *rest: Any) -> nn.Module:
        return Priced(price(flags, prices), patches, draw, clock)

    with VirtualTime() as clock, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tower_set, "build_tower", build)
        patch.setattr(tower_set.TowerSet, "_build", lambda self, tower, weights, dtype: build(None, None))
        patch.setattr(tower_set, "random_weights", lambda *about: SharedTensors({"w": torch.zeros(1)}))
        patch.setattr(measuring, "run_trial", run)
        patch.setattr(measuring, "machine_of", lambda device, card: (take_fingerprint("cpu"), lambda: None))
        patch.setattr(limits, "WRITING", 1.0)
        yield clock


def default_plan() -> Plan:
    variants, left_out = variants_on_cuda(MODELS[MODEL])
    assert left_out == {}
    return Plan(POINT, MODEL, "bfloat16", "cuda", unique(variants))


def seen(results: Results) -> dict[str, Summary]:
    (group,) = results.groups
    return {each.row.name: each for each in summaries(group, Floors())}


@pytest.mark.parametrize("prices", [MULTI_IMAGE, SINGLE_IMAGE], ids=["multi-image", "single-image"])
def test_the_rows_on_cuda_are_all_told_within_the_usual_budget(prices: Prices) -> None:
    with on_a_clock(prices) as clock:
        start = clock.at
        results, _ = measure([default_plan()], Effort(budget=BUDGETS["cuda"], card=False), "a test", False)
        assert clock.at - start <= BUDGETS["cuda"]
    found = seen(results)
    assert (list(found), results.complete) == (ROWS, True)
    effects = [found[name].effect for name in ROWS[1:]]
    assert effects == [*["faster"] * 4, "slower"], [each.judgement.reason for each in found.values()]
    estimate = found["best"].estimate
    assert estimate is not None
    assert estimate.speedup == pytest.approx(prices["waits"] / prices["batched"], rel=0.02)


def test_what_there_is_no_time_for_is_left_for_resume(tmp_path: Path) -> None:
    """One row takes three times what the reference tower does, so that those after it do not fit."""
    effort = Effort(budget=BUDGETS["cuda"], card=False, out=tmp_path / "a.json")
    with on_a_clock(MULTI_IMAGE | {"exact": 3.6}) as clock:
        start = clock.at
        results, _ = measure([default_plan()], effort, "a test", False)
        assert clock.at - start <= BUDGETS["cuda"]
        left = {name: each.judgement.reason for name, each in seen(results).items() if each.seconds is None}
        assert left == dict.fromkeys(ROWS[3:], "no time left within --budget 300s; `--resume` measures it")
        assert not results.complete

        results, _ = measure([default_plan()], replace(effort, resume=True), "a test", False)
        assert results.complete
    found = seen(results)
    assert [found[name].effect for name in ROWS[1:]] == ["faster", "slower", "faster", "faster", "slower"]


def test_rows_with_plans_that_there_is_no_time_for_are_left_by_name(tmp_path: Path) -> None:
    beside = with_handed_in(Target(MODEL, "cuda", "bfloat16", default_plan().variants, MODELS[MODEL])).variants
    effort = Effort(budget=BUDGETS["cuda"], card=False, out=tmp_path / "a.json")
    with on_a_clock(MULTI_IMAGE | {"exact": 3.6}):
        results, _ = measure([replace(default_plan(), variants=beside)], effort, "a test", False)
    found = seen(results)
    left = [name for name, each in found.items() if each.seconds is None]
    assert {"best plan=device"} < set(found) - set(left)
    assert any("plan=" in name for name in left)
    assert all(each.estimate for name, each in found.items() if name not in ("baseline", *left))
    reasons = {found[name].judgement.reason for name in left}
    assert reasons == {"no time left within --budget 300s; `--resume` measures it"}
    assert why_incomplete(results) == f"no time was left for {', '.join(f'{name} (1 trial)' for name in left)}"


def test_where_no_row_fits_it_ends_in_time_and_says_what_it_takes() -> None:
    with on_a_clock(MULTI_IMAGE) as clock:
        start = clock.at
        results, _ = measure([default_plan()], Effort(budget=60, card=False), "a test", False)
        assert clock.at - start <= 60
    words = [str(each.judgement.reason) for each in seen(results).values()][1:]
    assert all("no row was timed; it takes about" in each and "give a larger `--budget`" in each for each in words)


def test_a_set_is_recommended_within_its_usual_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One photo at 7B: every change of `best` in one process, what stands out in a second, the set in fresh ones."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(recommending, "fingerprint_of", lambda device: take_fingerprint("cpu"))
    with on_a_clock(SINGLE_IMAGE) as clock:
        start = clock.at
        found = recommending.recommend(
            grid="1x6x8", model=MODEL, device="cuda", counters=False, out=tmp_path / "a.toml", progress=False
        ).record
        assert clock.at - start <= recommending.BUDGETS["cuda"] == 120
    assert found.complete, found.said
    effects = {each.flag: (each.effect, each.by) for each in found.flags}
    assert effects["host-seqlens"] == effects["batched-windows"] == ("helps", "time")
    assert {"host-seqlens", "batched-windows"} <= set(found.preset.flags)
    assert len(found.preset.flags) < len(found.left_out) + len(found.preset.flags)
    assert {"no-flags", "baseline"} <= {each.name for each in found.compared}
    assert read_preset(tmp_path / "a.toml").intact
