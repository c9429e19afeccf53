"""Stored cells become the plans that timed them; what is gone says so and leaves the others alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gating.timings import NAME, stored
from tests.trial.plans import SCENARIO_FILE
from vlbench.comparing.timed_plans import rebuild
from vlbench.implementations.optimized import Exactness
from vlbench.record.baseline import TimedCell

GRIDS = ((1, 4, 6), (1, 4, 6))
TOYS = "tests.towers.toys"


@pytest.fixture(autouse=True)
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SCENARIO_FILE)


def cell(variant: str = NAME, **fields: object) -> TimedCell:
    return stored(**{"variant": variant, "scenario": "small.toml", "grids": GRIDS} | fields)  # type: ignore[arg-type]


def test_cells_that_shared_rounds_share_a_plan() -> None:
    cells = [cell(), cell(state="cold"), cell("best", exactness="reassociated"), cell(seed=3, threads=2)]
    rebuilt = rebuild(cells)
    assert rebuilt.gone == {}
    assert [[each.variant for each in group] for group in rebuilt.cells] == [[NAME, NAME, "best"], [NAME]]
    first, second = rebuilt.plans
    assert [variant.name for variant in first.variants] == ["baseline", NAME, "best"]
    assert first.variants[1].flags == (NAME,)
    assert (first.states, first.seed, first.threads) == (("warm", "cold"), 0, 1)
    assert (second.states, second.seed, second.threads) == (("warm",), 3, 2)
    assert (first.point.scenario, first.model, first.dtype, first.device) == (
        "small",
        "qwen2.5-vl-tiny",
        "float32",
        "cpu",
    )
    assert (first.weights, first.own_weights) == (None, "random")


def test_accuracy_is_checked_by_the_class_that_was_accepted() -> None:
    (plan,) = rebuild([cell("best", exactness="bit-exact")]).plans
    assert plan.variants[1].exactness is Exactness.BIT_EXACT


def test_towers_are_held_against_the_first() -> None:
    towers = {"model": f"{TOYS}:Toy", "reference": f"{TOYS}:Toy", "weights": "its own"}
    (plan,) = rebuild([cell(f"{TOYS}:Again", **towers, exactness="ulp")]).plans
    first, second = plan.variants
    assert (first.name, first.flags, first.reference) == (f"{TOYS}:Toy", None, f"{TOYS}:Toy")
    assert (second.tower, second.reference, second.exactness) == (f"{TOYS}:Again", f"{TOYS}:Toy", Exactness.ULP)
    assert plan.own_weights == "its own"


def test_a_checkpoint_is_read_again(tmp_path: Path) -> None:
    (plan,) = rebuild([cell(weights=str(tmp_path))]).plans
    assert plan.weights == tmp_path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scenario": "gone.toml"}, "gone.toml does not exist"),
        ({"scenario": "no-such"}, "there is no scenario 'no-such'"),
        ({"point": "count=9"}, "the scenario small.toml has no point 'count=9'; it has one point without a label"),
        ({"grids": ((1, 8, 8),)}, "the scenario small.toml feeds other grids than those that were timed"),
        ({"variant": "host-gird"}, "variant 'host-gird': there is no flag 'host-gird'"),
        ({"model": "qwen9-vl"}, "there is no model 'qwen9-vl'"),
        ({"weights": "/no/such/folder"}, "its checkpoint /no/such/folder is not here"),
        ({"model": "no.such:tower", "reference": "no.such:tower"}, "no.such cannot be imported"),
        ({"variant": f"{TOYS}:Gone"}, f"{TOYS} has no 'Gone'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_is_gone_says_so_and_the_others_stay(fields: dict[str, object], words: str) -> None:
    lost, kept = cell(**fields), cell(seed=1)  # type: ignore[arg-type]
    rebuilt = rebuild([lost, kept])
    assert rebuilt.gone.keys() == {lost.name}
    assert words in rebuilt.gone[lost.name]
    assert rebuilt.cells == [[kept]]


def test_a_variant_that_is_gone_leaves_its_neighbours_in_the_plan() -> None:
    rebuilt = rebuild([cell(), cell("no-such-flag")])
    assert rebuilt.gone.keys() == {cell("no-such-flag").name}
    assert [variant.name for variant in rebuilt.plans[0].variants] == ["baseline", NAME]
