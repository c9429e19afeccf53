"""What keeps towers at full size from being CUDA graphs, with its lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from vlbench.counting.capture import lint
from vlbench.counting.capture_worker import with_plan_handed_in
from vlbench.counting.job import Point
from vlbench.counting.keys import check_key
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.capturable import CapturableRow
from vlbench.towers.tower import Tower

IMAGE = Point(scenario="grid", label="", grids=((1, 36, 36),))
SMALL = Point(scenario="grid", label="", grids=((1, 4, 6), (1, 8, 4)))
TOYS = "tests.counting.toy_towers"


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost") as opened:
        yield opened


def linted(
    device: CountingDevice, tower: str, point: Point = SMALL, region: tuple[str, str] | None = None
) -> dict[str, CapturableRow]:
    """By where the plan is made."""
    rows = with_plan_handed_in(Row(tower, tower))
    return {row.plan: lint(device, row, point, torch.bfloat16, region)[0] for row in rows}


def lines(row: CapturableRow) -> dict[str, int]:
    """Lines by file."""
    found: dict[str, set[int]] = {}
    for each in row.blockers:
        found.setdefault(each.where.file or "", set()).add(each.where.line or 0)
    return {file: len(numbers) for file, numbers in found.items()}


def glm4v() -> nn.Module:
    """transformers' tower of GLM-4V, two blocks of it: of more each has the same lines."""
    from transformers.models.glm4v.configuration_glm4v import Glm4vVisionConfig
    from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel

    config = Glm4vVisionConfig(
        depth=2, hidden_size=64, num_heads=2, intermediate_size=96, out_hidden_size=64, image_size=336, patch_size=14
    )
    config._attn_implementation = "sdpa"
    return Glm4vVisionModel(config)  # type: ignore[no-any-return]


GLM4V = Tower(lambda device, dtype: glm4v().to(device, dtype), tokens=lambda returned: returned.pooler_output)
"""Its patches are 14 x 14 x 2, as those of Qwen2.5-VL."""


@pytest.mark.slow(20)
@pytest.mark.parametrize(
    ("tower", "in_utils", "in_tower", "left"),
    [
        ("hf:qwen2.5-vl-7b", 6, ("qwen2_5_vl/modeling_qwen2_5_vl.py", 3), {"device": 1, "host": 0}),
        ("hf:qwen3-vl-8b", 7, ("qwen3_vl/modeling_qwen3_vl.py", 1), {"device": 1, "host": 0}),
        (f"{__name__}:GLM4V", 3, ("glm4v/modeling_glm4v.py", 1), {}),
    ],
)
def test_lines_of_transformers_towers(
    device: CountingDevice, tower: str, in_utils: int, in_tower: tuple[str, int], left: dict[str, int]
) -> None:
    """Nine, eight and four. With the plan handed in that of the lengths is left, which goes with these on the host."""
    pytest.importorskip("transformers")
    rows = linted(device, tower, IMAGE)
    inside = rows.pop("inside")
    assert inside.failed is None
    file, many = in_tower
    assert lines(inside) == {"transformers/vision_utils.py": in_utils, f"transformers/models/{file}": many}
    assert inside.lines == in_utils + many
    assert {plan: row.lines for plan, row in rows.items()} == left
    for plan in {"device"} & rows.keys():
        assert {each.expression for each in rows[plan].blockers} == {"lengths.tolist()"}


@pytest.mark.slow(20)
@pytest.mark.parametrize("flags", ["best", "best+graph-exact", "best+graph-budget"])
def test_our_best_is_capturable_with_its_plan_handed_in(device: CountingDevice, flags: str) -> None:
    rows = linted(device, f"qwen2.5-vl-7b+{flags}", IMAGE)
    assert [row.failed for row in rows.values()] == [None, None]
    assert rows["inside"].capturable is False
    assert {each.kind for each in rows["inside"].blockers} == {"pinned allocation"}
    if flags != "best+graph-budget":  # which writes the boundaries of each batch into its graph, before the replay
        assert rows["device"].capturable


@pytest.mark.slow(3)
def test_a_region_is_what_lies_between_two_stages(device: CountingDevice) -> None:
    model = "qwen2.5-vl-tiny"
    whole, planned = (linted(device, model, region=each)["inside"] for each in (None, ("plan", "plan")))
    blocks = linted(device, model, region=("block[0].attention", "block[3].mlp"))["inside"]
    rest = linted(device, model, region=("patch_embed", "merger"))["inside"]
    assert 0 < planned.lines < whole.lines
    assert {each.where for each in planned.blockers}.isdisjoint(each.where for each in blocks.blockers)
    assert {each.where for each in blocks.blockers} <= {each.where for each in rest.blockers}
    with pytest.raises(UsageError, match=r"--region: merger ends before|--region: plan ends before"):
        linted(device, model, region=("merger", "plan"))


@pytest.mark.parametrize(
    ("toy", "kinds", "advice"),
    [
        ("LongestOnDevice", {"read-back"}, "take the longest sequence"),
        ("MaskAssignment", {"data-dependent shape"}, "positions"),
        ("UnpinnedUpload", {"pageable upload"}, "send it before the capture"),
        ("HostIndex", {"pageable upload"}, "send it before the capture"),
        ("ReadsFloats", {"host branch"}, ""),
    ],
)
def test_kinds_and_what_removes_them(device: CountingDevice, toy: str, kinds: set[str], advice: str) -> None:
    row = linted(device, f"{TOYS}:{toy}")["inside"]
    assert {each.kind for each in row.blockers} == kinds
    assert all(advice in each.advice for each in row.blockers)


@pytest.mark.parametrize(
    ("toy", "words"), [("Raises", "toy_towers.py:"), ("Solves", "unknown operation aten::linalg_qr")]
)
def test_what_was_not_seen_whole_is_not_known(device: CountingDevice, toy: str, words: str) -> None:
    row = linted(device, f"{TOYS}:{toy}")["inside"]
    assert row.capturable is None
    assert words in str(row.failed)


def test_a_result_on_the_host_is_no_graph(device: CountingDevice) -> None:
    row = linted(device, "tests.counting.capture_towers:OnHost")["inside"]
    assert (row.capturable, row.blockers) == (None, ())
    assert "there is nothing to capture" in str(row.failed)


def test_a_region_that_asks_nothing_of_the_device_is_no_graph(device: CountingDevice) -> None:
    row = linted(device, "tests.counting.capture_towers:Idle", region=("idle", "idle"))["inside"]
    assert row.capturable is None
    assert "there is nothing to capture" in str(row.failed)


def test_the_state_of_the_generator_may_end_a_capture(device: CountingDevice) -> None:
    row = linted(device, "tests.counting.capture_towers:SetsGenerator")["inside"]
    assert (row.capturable, row.blockers) == (None, ())
    for name in ("get_rng_state", "set_rng_state", "manual_seed"):
        assert f"torch.cuda.{name}" in str(row.failed)
    assert "capture_towers.py:" in str(row.failed)


def test_a_grid_that_does_not_fit_is_refused(device: CountingDevice) -> None:
    odd: Any = Point(scenario="", label="", grids=((1, 3, 4),))
    with pytest.raises(UsageError, match="does not divide a grid of 3x4"):
        linted(device, "qwen2.5-vl-tiny", odd)


def test_code_for_another_platform_says_nothing_of_a_gpu(device: CountingDevice) -> None:
    name = f"{TOYS}:on_another_platform"
    row = linted(device, name)["inside"]
    assert (row.capturable, row.blockers) == (None, ())
    assert str(row.failed).startswith(f"{name}: its code is for a CPU platform, and would be another on a GPU")
    check = check_key(device, Row(name, name), ("tokens",), None)
    assert (check.verdict, check.reason) == ("not checked", row.failed)
