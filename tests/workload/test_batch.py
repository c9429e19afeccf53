from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import QWEN3, Preprocessing
from vlbench.workload.batch import build_batch, grids_only
from vlbench.workload.library import load_scenario, scenario_names
from vlbench.workload.scenario import Item, ScenarioPoint

QWEN = Preprocessing()
CPU_POINTS = [point for name in scenario_names() for point in load_scenario(name).points("cpu")]
CUDA_POINTS = [point for name in scenario_names() for point in load_scenario(name).points("cuda")]


def point(*items: Item, **fields: object) -> ScenarioPoint:
    return ScenarioPoint.model_validate({"scenario": "own", "item": items, **fields})


def name_of(point: ScenarioPoint) -> str:
    return f"{point.scenario}-{point.label}".rstrip("-")


@pytest.mark.parametrize("point", CPU_POINTS, ids=name_of)
def test_every_shipped_scenario_builds_small_on_a_cpu(point: ScenarioPoint) -> None:
    batch = build_batch(point, seed=3, fed=QWEN)
    rows = sum(t * h * w for t, h, w in batch.grids)
    assert batch.pixels.shape == (rows, 1176)
    assert rows < 2100
    assert batch.pixels.dtype == torch.float32
    assert batch.pixels.abs().max() < 3
    assert batch.grid_thw.dtype == torch.int64
    assert batch.grid_thw.tolist() == [list(grid) for grid in batch.grids]
    assert batch.grids == grids_only(point, 3, QWEN)
    assert f"{rows:,} patches, {rows // 4:,} tokens" in batch.description


@pytest.mark.parametrize(
    ("name", "grids"),
    [
        ("single-image", {(1, 36, 36)}),
        ("multi-image", {(1, 34, 46), (1, 42, 58), (1, 52, 94), (1, 60, 82)}),
        ("video", {(8, 40, 72)}),
        ("high-res", {(1, 158, 122)}),
        ("thumbnails", {(1, 4, 6), (1, 80, 62)}),
        ("mixed", {(1, 4, 6), (1, 34, 46), (1, 52, 94), (4, 34, 46)}),
    ],
)
def test_grids_at_full_size_are_those_of_production(name: str, grids: set[tuple[int, int, int]]) -> None:
    (point,) = load_scenario(name).points("cuda")
    assert set(grids_only(point, 0, QWEN)) == grids


def test_the_photos_of_multi_image_share_no_grid_on_a_cpu_and_one_fills_its_windows() -> None:
    (point,) = load_scenario("multi-image").points("cpu")
    grids = grids_only(point, 0, QWEN)
    assert len(set(grids)) == len(grids) == 12
    assert [grid for grid in grids if grid[1] % 8 == grid[2] % 8 == 0] == [(1, 8, 8)]


def test_no_grid_of_ragged_fills_its_windows() -> None:
    for kind in ("cpu", "cuda"):
        (point,) = load_scenario("ragged").points(kind)
        assert all(h % 8 and w % 8 for _, h, w in grids_only(point, 0, QWEN))


def test_the_production_mix_stays_below_the_encoder_budget() -> None:
    for point in CUDA_POINTS:
        if point.mix:
            totals = [sum(t * h * w // 4 for t, h, w in grids_only(point, seed, QWEN)) for seed in range(50)]
            assert max(totals) <= 8192
            assert len(set(totals)) > 10 or point.scenario != "serving-mix"


@pytest.mark.parametrize("source", ["photos", "noise"])
def test_a_seed_fixes_every_bit(source: str) -> None:
    wanted = point(Item(size="60x90", count=3), Item(kind="video", size="56x56", frames=3), source=source)
    first, again, other = (build_batch(wanted, seed=seed, fed=QWEN) for seed in (1, 1, 2))
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)
    assert first.grids == other.grids
    kind = "photos" if source == "photos" else "noise images"
    assert first.description == f"3 {kind}, 1 video, 104 patches, 26 tokens"


def test_items_follow_each_other_and_differ() -> None:
    batch = build_batch(point(Item(size="56x56", count=2), Item(size="56x84")), seed=0, fed=QWEN)
    first, second, third = batch.pixels.split([16, 16, 24])
    assert batch.grids == ((1, 4, 4), (1, 4, 4), (1, 4, 6))
    assert not torch.equal(first, second)
    assert len(third) == 24


def test_a_grid_is_kept_whatever_the_limit_and_the_patch_size() -> None:
    wanted = point(Item(grid="2x2"), Item(kind="video", grid="20x40", frames=3), limit=3136)
    for patch_size in (14, 16):
        batch = build_batch(wanted, seed=0, fed=Preprocessing(patch_size=patch_size))
        assert batch.grids == ((1, 2, 2), (2, 20, 40))
        assert batch.pixels.shape == (4 + 1600, 3 * 2 * patch_size**2)


def test_the_limit_of_the_scenario_holds_for_every_frame() -> None:
    wanted = point(Item(size="400x400"), Item(kind="video", size="400x400", frames=2), limit=28 * 28 * 9)
    assert grids_only(wanted, 0, QWEN) == ((1, 6, 6), (1, 6, 6))


@pytest.mark.parametrize("point", [*CPU_POINTS, *CUDA_POINTS], ids=name_of)
def test_every_shipped_scenario_is_a_call_of_qwen3(point: ScenarioPoint) -> None:
    for _, rows, columns in grids_only(point, 3, QWEN3):
        assert rows % 2 == columns % 2 == 0


def test_a_video_of_qwen3_shares_its_limit_among_its_frames() -> None:
    video = Item(kind="video", size="720x1280", frames=120)
    assert grids_only(point(video), 0, QWEN3) == ((60, 20, 38),)
    assert grids_only(point(video.model_copy(update={"frames": 16})), 0, QWEN3) == ((8, 44, 80),)
    assert grids_only(point(video, limit=100_000), 0, QWEN3) == ((60, 14, 26),)
    assert grids_only(point(Item(size="720x1280"), limit=100_000), 0, QWEN3) == ((1, 14, 26),)


def test_a_limit_that_no_picture_can_keep_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'own': limit is 50,000 pixels, and the tower's pictures have 65,536"):
        grids_only(point(Item(size="56x84"), limit=50_000), 0, QWEN3)


def test_pictures_of_ones_own_change_contents_and_not_grids(tmp_path: Path) -> None:
    red, blue = tmp_path / "red.png", tmp_path / "blue.webp"
    Image.new("RGB", (40, 90), "red").save(red)
    Image.new("RGB", (200, 30), "blue").save(blue, lossless=True)
    wanted = point(Item(size="56x84", count=3))
    batch = build_batch(wanted, seed=0, fed=QWEN, images=[red, blue])
    assert batch.grids == grids_only(wanted, 0, QWEN)
    colours = batch.pixels.view(3, 24, 3, -1).mean(dim=(1, 3)).argmax(dim=1)
    assert colours.tolist() == [0, 2, 0]
    from_blue = build_batch(wanted, seed=1, fed=QWEN, images=[red, blue])
    assert torch.equal(from_blue.pixels[24:48], batch.pixels[:24])


def test_pictures_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    wanted = point(Item(size="56x84"))
    with pytest.raises(UsageError, match=r"text\.jpg is not a picture"):
        build_batch(wanted, seed=0, fed=QWEN, images=[tmp_path / "text.jpg"])
    with pytest.raises(UsageError, match="no pictures were given"):
        build_batch(wanted, seed=0, fed=QWEN, images=[])
    with pytest.raises(UsageError, match="'own' feeds noise and takes no pictures; set source = 'photos'"):
        build_batch(point(Item(size="56x84"), source="noise"), seed=0, fed=QWEN, images=[tmp_path / "text.jpg"])
