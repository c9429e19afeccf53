"""Keys of graphs: what they forget is found by a replay, and what they need not hold is not called wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from vlbench.counting import keys
from vlbench.counting.capture_job import FACTS
from vlbench.counting.keys import CELLS, Batch, batches_that_share, check_key
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.implementations.preprocessing import Images, Preprocessing
from vlbench.record.capturable import KeyCheck

TOWERS = "tests.counting.capture_towers"
UNIFORM, UNEVEN = "1x12x12 + 1x12x12", "1x8x12 + 1x16x12"


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("shadow") as opened:
        yield opened


def check(device: CountingDevice, tower: str, key: str, **fields: object) -> KeyCheck:
    row = Row(tower, f"{TOWERS}:{tower}" if ":" not in tower and "+" not in tower else tower, **fields)  # type: ignore[arg-type]
    return check_key(device, row, key.split(","), None)


def test_batches_are_the_same_in_each_fact_of_the_key_and_differ_in_others() -> None:
    fed = Preprocessing()
    for key in (["tokens"], ["tokens", "items"], ["lengths", "dtype"], [*FACTS]):
        for one, two in batches_that_share(key, fed):
            assert one != two
            assert [one.fact(name) for name in key] == [two.fact(name) for name in key]
    assert batches_that_share(["grids", "dtype"], fed) == []
    assert {batch.fact("tokens") for pair in batches_that_share(["tokens"], fed) for batch in pair} == {72}


def test_facts_of_a_batch() -> None:
    batch = Batch(((2, 4, 6), (1, 8, 4)), torch.bfloat16, Preprocessing())
    assert {name: batch.fact(name) for name in FACTS} == {
        "tokens": 20,
        "items": 2,
        "frames": 3,
        "lengths": (24, 24, 32),
        "longest": 32,
        "grids": ((2, 4, 6), (1, 8, 4)),
        "dtype": torch.bfloat16,
    }
    assert str(batch) == "2x4x6 + 1x8x4 in bfloat16"


def test_images_of_one_size_differ_in_number_alone() -> None:
    assert [one.dtype for one, _ in batches_that_share(["items"], Images(28))] == [torch.float32, torch.bfloat16]
    assert len({len(cells) for cells in CELLS}) == 3


@pytest.mark.parametrize(
    ("tower", "key", "fed"),
    [
        pytest.param("handed_in", "tokens,dtype", None, marks=pytest.mark.slow),
        ("handed_in", "tokens,items,dtype", UNEVEN),
        pytest.param("handed_in", "tokens,frames,longest,dtype", None, marks=pytest.mark.slow),
        ("handed_in", "lengths", f"{UNIFORM} in bfloat16"),
    ],
)
def test_a_key_that_forgets_something_is_refuted(device: CountingDevice, tower: str, key: str, fed: str | None) -> None:
    found = check(device, tower, key, plan="device")
    assert found.verdict == "refuted", found
    assert found.error is not None
    assert found.error > 1e-3
    assert fed is None or fed in (found.fed, found.recorded)
    assert found.difference is not None
    assert "capture_towers.py" in found.difference.where.place


def test_equal_lengths_are_enough_whatever_they_are_of(device: CountingDevice) -> None:
    """Two pictures or one video of two frames; 12x12 or 8x18: to this tower there is no difference."""
    found = check(device, "handed_in", "lengths,dtype", plan="device")
    assert (found.verdict, found.difference) == ("not refuted", None)
    assert found.replays == 8


@pytest.mark.slow
def test_a_tower_that_takes_one_dtype_needs_none_in_its_key(device: CountingDevice) -> None:
    assert check(device, "one_dtype", "lengths", plan="device").verdict == "not refuted"


@pytest.mark.slow
def test_records_that_differ_are_a_hint_alone(device: CountingDevice) -> None:
    found = check(device, "unlike", "lengths,dtype", plan="device")
    assert found.verdict == "not refuted"
    assert found.difference is not None
    assert "aten::" in found.difference.mine
    assert found.difference.mine != found.difference.other


@pytest.mark.parametrize("tower", ["handed_in", "ReadsBack"])
def test_a_tower_that_plans_inside_is_told_so(device: CountingDevice, tower: str) -> None:
    found = check(device, tower, "tokens,items,dtype")
    assert found.verdict == "plans inside"
    assert "it plans inside its forward: hand the plan in" in found.reason


def test_grids_that_are_read_on_the_device_are_inputs(device: CountingDevice) -> None:
    assert check(device, "OnDevice", "tokens,items,dtype").verdict == "not refuted"
    found = check(device, "OnDevice", "tokens,dtype")
    assert (found.verdict, found.error) == ("refuted", None)
    assert "has inputs of other shapes where the graph of" in found.reason


def test_what_another_batch_left_in_a_cache_is_no_result(device: CountingDevice) -> None:
    found = check(device, "KeepsGrids", "tokens,items,dtype")
    assert found.verdict == "refuted"
    assert found.error is not None
    assert "it reads a tensor that no replay writes" in found.reason


@pytest.mark.parametrize(
    ("tower", "words"), [("OnHost", "there is nothing to capture"), ("Random", "its result is random, or follows from")]
)
def test_a_result_that_no_replay_could_come_to_is_not_checked(device: CountingDevice, tower: str, words: str) -> None:
    found = check(device, tower, "tokens,items,dtype")
    assert found.verdict == "not checked"
    assert words in found.reason


@pytest.mark.slow
def test_a_read_back_of_a_later_call_is_told(device: CountingDevice) -> None:
    found = check(device, "ReadsLate", "tokens,items,dtype")
    assert found.verdict == "not refuted"
    assert found.late.startswith("its third forward has a read-back at tests/counting/capture_towers.py:")


@pytest.mark.slow
def test_what_cannot_be_computed_is_not_checked(device: CountingDevice) -> None:
    found = check(device, "tests.counting.toy_towers:Raises", "tokens")
    assert found.verdict == "not checked"
    assert "toy_towers.py" in found.reason


@pytest.mark.slow(10)
def test_576_and_576_patches_are_not_384_and_768(device: CountingDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    cells = [((1, 12, 12), (1, 12, 12)), ((2, 12, 12),), ((1, 9, 16), (1, 9, 16)), ((1, 8, 12), (1, 16, 12))]
    monkeypatch.setattr(keys, "CELLS", tuple(cells))
    found = check(device, "hf:qwen3-vl-8b", "tokens,items,dtype", plan="host")
    assert (found.verdict, found.fed, found.replays) == ("refuted", "1x16x24 + 1x32x24", 3)
    assert found.difference is not None
    assert "[576, 576]" in found.difference.mine
    assert "[384, 768]" in found.difference.other
    sound = check(device, "hf:qwen3-vl-8b", "lengths,dtype", plan="host")
    assert (sound.verdict, sound.replays) == ("not refuted", 4)  # one video of two frames, and other shapes


@pytest.mark.slow(20)
@pytest.mark.parametrize(
    ("tower", "plan", "key", "verdict"),
    [
        ("qwen3-vl-8b+best", "device", "tokens,dtype", "refuted"),
        ("qwen3-vl-8b+best", "device", "tokens,items,dtype", "refuted"),
        ("qwen3-vl-8b+best", "device", "lengths,dtype", "not refuted"),
        ("hf:qwen3-vl-8b", "host", "tokens,items,dtype", "refuted"),
        ("hf:qwen3-vl-8b", "host", "lengths", "refuted"),
        ("hf:qwen3-vl-8b", "host", "lengths,dtype", "not refuted"),
        ("hf:qwen3-vl-8b", "inside", "lengths,dtype", "plans inside"),
        ("qwen2.5-vl-7b+best", "device", "lengths,dtype", "refuted"),  # windows are other ones
        ("qwen2.5-vl-7b+best", "device", "grids,dtype", "not refuted"),
    ],
)
def test_keys_of_real_towers(device: CountingDevice, tower: str, plan: str, key: str, verdict: str) -> None:
    pytest.importorskip("transformers")
    assert check(device, tower, key, plan=plan).verdict == verdict
