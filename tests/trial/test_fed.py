"""What a tower is fed: patches of its own size, or whole images, from the same scenarios."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import vlbench
from tests.towers.toys import images_of
from tests.trial.plans import POINT
from tests.trial.test_worker import events
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import run_count
from vlbench.errors import UsageError
from vlbench.towers.tower import Tower
from vlbench.trial.accuracy import awkward_inputs
from vlbench.trial.churn import churn_inputs
from vlbench.trial.job import Checked, Job, Prepared, Round, VariantJob
from vlbench.trial.worst import worst_in_images
from vlbench.workload.batch import build_batch, grids_only
from vlbench.workload.library import BATCHES, batch_point, load_scenario
from vlbench.workload.scenario import Item, ScenarioPoint

TOYS = "tests.towers.toys"
SIXTEEN = vlbench.Preprocessing(patch_size=16)
SMALL = vlbench.Images((8, 12))


def job(*names: str, **fields: Any) -> Job:
    texts = [f"{TOYS}:{name}" for name in names]
    variants = tuple(VariantJob(name=text, flags=(), exactness="reassociated", tower=text) for text in texts)
    asked = {"model": texts[0], "variants": variants, "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0}
    return Job.model_validate(asked | {"point": POINT, "seconds": 0.0} | fields)


@pytest.mark.parametrize(
    ("name", "grids"),
    [("single-image", {(1, 32, 32)}), ("multi-image", {(1, 30, 40), (1, 38, 50), (1, 46, 82), (1, 54, 72)})],
)
def test_patches_of_16_have_grids_of_their_own(name: str, grids: set[tuple[int, int, int]]) -> None:
    (point,) = load_scenario(name).points("cuda")
    assert set(grids_only(point, 0, SIXTEEN)) == grids


def test_the_limit_is_the_towers_unless_the_scenario_has_one() -> None:
    few = vlbench.Preprocessing(max_pixels=56 * 56)
    item = (Item(size="560x560"),)
    assert grids_only(ScenarioPoint(scenario="own", item=item), 0, few) == ((1, 4, 4),)
    assert grids_only(ScenarioPoint(scenario="own", item=item, limit=112 * 112), 0, few) == ((1, 8, 8),)


def test_every_picture_and_every_frame_is_an_image() -> None:
    items = (Item(size="56x84", count=2), Item(grid="4x6"), Item(kind="video", size="60x90", frames=3))
    for source, kind in (("photos", "photos"), ("noise", "noise images")):
        point = ScenarioPoint(scenario="own", item=items, source=source)
        batch = build_batch(point, seed=1, fed=SMALL)
        assert batch.pixels.shape == (6, 3, 8, 12)
        assert batch.grids == ((1, 8, 12),) * 6 == grids_only(point, 1, SMALL)
        assert batch.description == f"3 {kind}, 1 video, 6 images of 8x12 pixels"
        assert len({tuple(image.flatten().tolist()) for image in batch.pixels}) == 6


def test_an_image_is_normalised_by_its_own_mean_and_deviation() -> None:
    point = ScenarioPoint(scenario="own", item=(Item(size="56x84"),))
    usual, other = (
        build_batch(point, seed=0, fed=vlbench.Images(8, mean=(mean,) * 3, std=(std,) * 3)).pixels
        for mean, std in ((0.0, 1.0), (0.5, 0.25))
    )
    torch.testing.assert_close(other, (usual - 0.5) / 0.25)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tower_of_images_is_checked_and_timed(dtype: str) -> None:
    also = tuple(batch_point(name) for name in BATCHES)
    asked = job("images", "images_again", "images_wrong", dtype=dtype, also_check=also, seconds=0.1, states=("churn",))
    emitted = events(asked)
    (prepared,) = (each for each in emitted if isinstance(each, Prepared))
    assert prepared.batch == "2 noise images, 2 images of 8x8 pixels"
    found = {each.variant.rpartition(":")[2]: each.accuracy for each in emitted if isinstance(each, Checked)}
    assert {name: each.passed for name, each in found.items()} == {
        "images": True,
        "images_again": True,
        "images_wrong": False,
    }
    worst = found["images_wrong"].worst_token
    assert worst is not None
    assert (worst.item, worst.frame, worst.row, worst.column) == (0, 0, 0, 3)
    assert any(isinstance(each, Round) for each in emitted)


def test_a_tower_of_images_is_counted_beside_one_of_patches() -> None:
    names = [f"{TOYS}:{name}" for name in ("images", "large_patches", "Toy")]
    point = Point(scenario="own", label="", feed=ScenarioPoint(scenario="own", item=(Item(size="512x512"),)))
    report = run_count(CountJob(towers=tuple(names), variants=(), points=(point,), profile="sm_90", dtype="bfloat16"))
    fed = [(group.grids, group.images, [each.name for each in group.towers]) for group in report.groups]
    assert fed == [
        (((1, 8, 8),), True, names[:1]),
        (((1, 32, 32),), False, names[1:2]),
        (((1, 36, 36),), False, names[2:]),
    ]
    assert report.complete


@pytest.mark.parametrize(
    ("output", "place"), [((3, 5, 2), (1, 4)), ((3, 2), (1, 0)), ((3, 2, 2, 2), (1, 0)), ((6, 2), None), ((3,), None)]
)
def test_what_is_off_is_found_by_image(output: tuple[int, ...], place: tuple[int, int] | None) -> None:
    wanted = torch.ones(output)
    off = wanted.clone()
    if place and len(output) == 3:
        off[place] += 1
    elif place:
        off[place[0]] += 1
    found = worst_in_images(off, wanted, 3)
    assert (found and (found.item, found.column)) == place


def test_the_number_of_images_changes_from_call_to_call() -> None:
    make = churn_inputs([SMALL.grid] * 4, SMALL, torch.float32, torch.device("cpu"), 0, 7)
    shapes = [tuple(make(number).pixels.shape) for number in range(60)]
    assert {shape[1:] for shape in shapes} == {(3, 8, 12)}
    assert {shape[0] for shape in shapes} == {1, 2, 3, 4, 5, 6, 7}
    assert [len(each.pixels) for each in awkward_inputs(SMALL, torch.device("cpu"), 0)] == [3, 2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"patch_dim": 1536}, "patch_dim=1536 is part of what a tower is fed; write "),
        ({"patch_dim": 1536}, "preprocessing=vlbench.Preprocessing(patch_size=16)"),
        ({"patch_dim": 588}, "preprocessing=vlbench.Preprocessing(patch_size=14, temporal_patch_size=1)"),
        ({"patch_dim": 1000}, "preprocessing=vlbench.Preprocessing(patch_size=..., temporal_patch_size=...)"),
        ({"merge": 4}, "preprocessing=vlbench.Preprocessing(merge_size=4)"),
    ],
)
def test_what_was_said_before_is_refused_with_what_to_write(old: dict[str, int], new: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tower(images_of, **old)  # type: ignore[arg-type]
    assert new in str(caught.value)


def test_a_tower_is_fed_what_its_model_is() -> None:
    assert Tower(images_of, model="qwen2.5-vl-tiny").fed == vlbench.Preprocessing()
    assert Tower(images_of, model="qwen2.5-vl-tiny", preprocessing=SIXTEEN).fed == SIXTEEN


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Toy", "images"), "its input is images, that of tests.towers.toys:Toy patches; make them agree"),
        (("images", "images_large"), "its size is 16, that of tests.towers.toys:images 8; make them agree"),
        (("images_listed",), "it returned a list for 2 images of 8x8 pixels instead of a tensor; say how"),
    ],
)
def test_towers_of_images_that_cannot_be_measured(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        events(job(*names))
    assert words in str(caught.value)


def test_grids_of_patches_mean_nothing_to_a_tower_of_images() -> None:
    point = Point(scenario="grid", label="", grids=((1, 4, 6),))
    asked = CountJob(towers=(f"{TOYS}:images",), variants=(), points=(point,), profile="sm_90", dtype="bfloat16")
    with pytest.raises(UsageError, match="images of 8x8 pixels, and no grids of patches; feed it a scenario"):
        run_count(asked)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: vlbench.Preprocessing(patch_size=0), "patch_size is 0; give a whole number above zero"),
        (lambda: vlbench.Preprocessing(max_pixels=100), "max_pixels is 100; give as many as"),
        (lambda: vlbench.Preprocessing(std=(0.0, 1.0, 1.0)), "those of std above zero"),
        (lambda: vlbench.Images((224, -1)), "size is -1; give a whole number above zero"),
    ],
)
def test_what_makes_no_pixels_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
