"""Which tower stands for which row at full size, and a run in which all of it happens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vlbench
from tests.record.test_preset_file import preset
from tests.trial.plans import work_in
from vlbench.api.at_scale import _job, at_scale
from vlbench.counting.rows import Row
from vlbench.counting.scaled import scaled
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.matrix.plan import CellFilter, Plan, Settings, plans_of
from vlbench.matrix.targets import model_target, tower_targets
from vlbench.record.at_scale import AtScale
from vlbench.record.preset_file import preset_text
from vlbench.towers.variants import parse_variant
from vlbench.workload.library import load_scenario


def plan_of(target: object, scenario: str = "multi-image") -> Plan:
    points = load_scenario(scenario).points("cpu")
    return plans_of([(scenario, points, target)], CellFilter({}), Settings())[0]  # type: ignore[list-item]


def counted_rows(plan: Plan) -> dict[int, AtScale]:
    counting = at_scale([plan], [], 200)([[each.name for each in plan.variants]])
    assert counting
    return counting[1](lambda done, of: None)


def towers(plan: Plan) -> dict[str, str]:
    return _job(plan, {})[1]


def test_a_tiny_model_stands_for_a_released_one() -> None:
    variants = ["best", "host-seqlens+batched-windows", "no-flags", "hf-sdpa"]
    assert towers(plan_of(model_target("qwen3-vl-tiny", "cpu", None, variants[:1]))) == {
        "baseline": "qwen3-vl-8b",
        "best": "qwen3-vl-8b+best",
    }
    assert towers(plan_of(model_target(None, "cpu", None, variants))) == {
        "baseline": "qwen2.5-vl-7b",
        "best": "qwen2.5-vl-7b+best",
        "host-seqlens+batched-windows": "qwen2.5-vl-7b+host-seqlens+batched-windows",
        "no-flags": "qwen2.5-vl-7b+no-flags",
        "hf-sdpa": "hf-sdpa:qwen2.5-vl-7b",
    }


def test_a_set_without_a_flag_is_its_flags() -> None:
    target = model_target(None, "cpu", None, ["best"])
    assert target.config is not None
    whole = parse_variant("host-grid+rope-cache", target.config, "cpu")
    plan = plan_of(target)
    named = vars(whole) | {"name": "without no-einops"}
    assert towers(Plan(**vars(plan) | {"variants": [plan.variants[0], type(whole)(**named)]}))["without no-einops"] == (
        "qwen2.5-vl-7b+host-grid+rope-cache"
    )


def test_a_tower_that_is_no_tiny_one_is_itself() -> None:
    named = ["qwen2-vl-2b", "qwen2-vl-2b+best", "tests.counting.toy_towers:make_tower"]
    target = tower_targets(named[:2], "cpu", [None], None)[0]
    plan = plan_of(target)
    assert list(towers(plan).values()) == named[:2]
    assert _job(plan, {})[2] == "qwen2-vl-2b"


def test_the_scenario_is_fed_at_its_full_size() -> None:
    plan = plan_of(model_target(None, "cpu", None, ["best"]))
    full = {(point.scenario, point.label): point for point in load_scenario("multi-image").points("cuda")}
    job, _, model = _job(plan, full)
    assert (job.points[0].grids[0], model, job.profile, job.dtype) == (
        (1, 34, 46),
        "qwen2.5-vl-7b",
        "sm_90",
        "bfloat16",
    )


def test_a_preset_file_is_that_of_a_gpu_and_the_floor_that_of_the_released_model(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(preset_text(preset()))
    target = model_target(None, "cpu", None, [str(file), f"best+{file}", "floor"])
    assert towers(plan_of(target)) == {
        "baseline": "qwen2.5-vl-7b",
        str(file): f"qwen2.5-vl-7b+{file}",
        f"best+{file}": f"qwen2.5-vl-7b+best+{file}",
        "floor": "floor:qwen2.5-vl-7b",
    }


@pytest.mark.slow(6)
def test_a_preset_file_and_the_floor_are_counted_at_full_size(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(preset_text(preset(flags=("host-grid", "host-seqlens", "batched-windows"))))
    plan = plan_of(model_target(None, "cpu", None, [str(file), "floor"]))
    rows = {each.name: each for each in counted_rows(plan)[0].rows}
    mine, least = rows[str(file)], rows["floor"]
    with CountingDevice("ghost", "sm_90") as device:
        row = Row("spelled", "qwen2.5-vl-7b+host-grid+host-seqlens+batched-windows")
        spelled = scaled(device, row, _job(plan, {})[0].points[0], torch.bfloat16)
    assert mine.warm == spelled.warm
    assert least.warm
    assert least.warm.attention_calls == 32
    ratio = mine.predicted[0].over(least.predicted[0])
    assert ratio
    assert ratio[0] > 1


def test_a_seam_is_refused() -> None:
    with pytest.raises(UsageError, match="a seam alone is none"):
        vlbench.run(seam="merge", only="point=n=256", device="cpu", budget=1, card=False, counts=True)


@pytest.mark.slow(15)
def test_a_run_counts_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)
    told: list[str] = []
    found = vlbench.run(
        "small.toml", variant="host-seqlens", device="cpu", budget=1, card=False, counts=True, progress=told.append
    )
    at = found.record.groups[0].at_scale
    assert at is not None
    reference, flag = at.rows
    assert reference.by_layers
    assert flag.by_layers
    grids = ["x".join(map(str, grid)) for grid in at.grids]
    counted = vlbench.count("qwen2.5-vl-7b+host-seqlens", grid=grids, gpu="sm_90", progress=False)
    whole = [each.warm.counts.total for each in counted.record.groups[0].towers if each.warm]
    assert [flag.warm] == whole
    ratio = reference.predicted[0].over(flag.predicted[0])
    assert ratio is not None
    assert ratio[0] > 1  # it removes nearly all waits
    assert any("counting 2 rows at qwen2.5-vl-7b as on an H100" in line for line in told)
    assert at_scale([], [], 1)([]) is None


def test_only_measured_rows_are_counted_and_an_end_of_time_names_the_others() -> None:
    plan = plan_of(model_target(None, "cpu", None, ["best", "host-seqlens"]))
    counting = at_scale([plan], [], 900, asked=False)
    assert counting([[]]) is None
    asked = counting([["baseline", "best"]])
    assert asked
    assert asked[0] == "counting 2 rows at qwen2.5-vl-7b as on an H100, for 180 s at most"
    late = at_scale([plan], [], 0)([["best"]])
    assert late
    (row,) = late[1](lambda done, of: None)[0].rows
    assert row.failed == (
        "counting ended after 0 s; give a larger `--timeout`, and `vlbench count --tower NAME` counts one row"
    )
