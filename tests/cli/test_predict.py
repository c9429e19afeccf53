"""`vlbench predict` from its arguments to its exit status, and the same in Python."""

from __future__ import annotations

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.trial.plans import ROOT, python_path
from vlbench.api import predicting
from vlbench.kernel_times import board
from vlbench.predicting.checked import CheckedPrediction, board_of
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.run import stored_boards

TOWERS = "tests.predicting.towers"
GRID = ("--grid", "1x36x36")


@pytest.fixture(autouse=True)
def _towers_can_be_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ROOT))


def named(*names: str) -> list[str]:
    return [word for name in names for word in ("--tower", f"{TOWERS}:{name}")]


def test_bands_of_two_gpus_in_80_columns(vlbench: Vlbench) -> None:
    ended = vlbench("predict", *named("Longer", "Wide"), *GRID, "--gpu", "h100", "--gpu", "l40s")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    for gpu in ("h100", "l40s"):
        assert f"grid: 1x36x36, 1,296 patches, bfloat16, predicted for {gpu}" in ended.out
    assert "Predicted, not measured" in ended.out
    assert "without the 16 aten::add" in ended.out
    (row, *_) = re.findall(r"^(?:towers:\s+)?Wide .*", ended.out, re.MULTILINE) or [ended.out]
    assert re.search(r"\d\.\d-\d\.\d", row)


def test_json_is_the_record_and_python_has_it_as_well(vlbench: Vlbench) -> None:
    found = Prediction.model_validate_json(vlbench("predict", *named("Longer", "Wide"), *GRID, "--json").out)
    assert found.intact
    longer, wide = found.groups[0].rows
    assert longer.ratio is None
    assert wide.against == longer.row
    assert wide.ratio
    assert wide.told_apart
    assert wide.ratio.low > 1
    again = package.predict([f"{TOWERS}:Longer", f"{TOWERS}:Wide"], grid="1x36x36", progress=False)
    assert again.record == found
    table = again.table()
    assert list(table["gpu"]) == ["h100", "h100"]
    assert (table["span_low"] < table["span_high"]).all()
    assert again.exit_code == 0


def test_the_wait_is_named_with_its_line(vlbench: Vlbench) -> None:
    found = Prediction.model_validate_json(vlbench("predict", *named("Waits"), *GRID, "--json").out)
    (row,) = found.groups[0].rows
    (pay,) = [each for each in row.pays if "wait" in each.what]
    assert re.fullmatch(r"without the one wait at .*towers\.py:\d+", pay.what)
    assert pay.saves.low > 0


def test_what_cannot_be_predicted_has_no_time_and_ends_with_6(vlbench: Vlbench) -> None:
    ended = vlbench("predict", *named("Sorts", "Breaks", "Wide"), *GRID, "--json")
    assert ended.code == 6
    sorts, breaks, wide = Prediction.model_validate_json(ended.out).groups[0].rows
    assert sorts.span is None
    assert sorts.failed
    assert sorts.failed.endswith("of the bytes that it moves; at most 10% may be so")
    assert breaks.failed
    assert re.fullmatch(r"ValueError at \S*towers\.py:\d+: no such shape", breaks.failed)
    assert wide.span


def test_a_tower_that_ends_the_process_costs_no_row_before_it(vlbench: Vlbench) -> None:
    ended = vlbench("predict", *named("Longer", "Exits", "Wide"), *GRID, "--json")
    assert ended.code == 6
    longer, exits, wide = Prediction.model_validate_json(ended.out).groups[0].rows
    assert longer.span
    assert exits.row.endswith("Exits")
    assert exits.failed
    assert exits.failed.startswith("its process ended with code 0")
    assert wide.failed == f"not reached: {exits.row} ended the process; leave it out"


def test_two_boards_of_one_name_are_refused(folder: Path) -> None:
    (folder / "mine.json").write_text(board("h100").stored.model_dump_json())
    with pytest.raises(package.UsageError, match=r"^--gpu: h100 and mine.json are both named h100; give one, or "):
        stored_boards(["h100", "l40s", "mine.json"])


def test_the_timeline_for_perfetto(vlbench: Vlbench, folder: Path) -> None:
    file = folder / "timeline.json.gz"
    assert vlbench("predict", *named("Waits"), *GRID, "--perfetto", file).code == 0
    events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    names = [event["args"]["name"] for event in events if event["ph"] == "M" and event["name"] == "process_name"]
    assert [name.partition(",")[2] for name in names] == [
        *(" h100, fast host, lowest kernel times", " h100, slow host, highest kernel times")
    ]
    slices = [event for event in events if event["ph"] == "X"]
    assert {event["tid"] for event in slices} >= {0, 2}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in slices)
    for pid in (1, 2):
        on_gpu = [event for event in slices if event["pid"] == pid and event["tid"] == 2]
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in pairwise(on_gpu))
    ended = vlbench("predict", *named("Waits"), *GRID, "--perfetto", file)
    assert "there is a file already; --force replaces it" in ended.sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--gpu", "h1000"), "--gpu: 'h1000' is not one of "),
        (("--gpu", "none.json"), "none.json: no such file"),
        (("--perfetto", "there/is/none.json"), "--perfetto there/is/none.json: the folder there/is does not exist"),
        (
            ("--gpu", "h100", "--gpu", "l40s", "--perfetto", "a.json"),
            "--perfetto: these GPUs are of several architectures",
        ),
        (("qwen2.5-vl-7b",), "qwen2.5-vl-7b belongs to no option"),
    ],
)
def test_what_cannot_be_had_is_refused(vlbench: Vlbench, arguments: tuple[str, ...], sentence: str) -> None:
    assert vlbench("predict", *arguments).sentence.startswith(sentence)


def test_a_board_of_ones_own_is_counted_as_it_says(vlbench: Vlbench, folder: Path) -> None:
    mine = board("h100").stored.model_copy(update={"board": "a100", "profile": "sm_80", "tables": (), "errors": ()})
    for profile, sentence in {
        "sm_80": "--perfetto: these GPUs are of several architectures",
        "sm_8": "mine.json: profile sm_8: no such GPU profile; ",
    }.items():
        (folder / "mine.json").write_text(mine.model_copy(update={"profile": profile}).model_dump_json())
        refused = vlbench("predict", "--gpu", "mine.json", "--gpu", "b200", "--perfetto", "a.json")
        assert refused.sentence.startswith(sentence)


@pytest.mark.slow(seconds=10)
def test_presets_of_a_model_are_held_against_the_reference_tower(vlbench: Vlbench) -> None:
    found = Prediction.model_validate_json(vlbench("predict", "--with", "best", "--json").out)
    reference, best = found.groups[0].rows
    assert (reference.bound, best.bound) == ("host", "either")
    assert best.ratio
    assert best.ratio.low > 1.5
    assert best.span
    assert best.floor
    assert 2.5e-3 < best.floor.low < best.floor.high < 5e-3


def test_a_prediction_is_held_against_a_gpu_alone(vlbench: Vlbench) -> None:
    ended = vlbench("predict", *named("Wide"), "--check", "checked.json")
    assert ended.sentence == (
        "--check: torch finds no GPU here to hold a prediction against; run it where there is one"
    )


def test_a_prediction_is_kept_before_anything_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = folder / "checked.json", []

    def measured(towers: tuple[str, ...], *_: object) -> object:
        seen.append((towers, CheckedPrediction.model_validate_json(file.read_text())))
        raise KeyboardInterrupt

    monkeypatch.setattr(predicting, "gpu_here", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(predicting, "measured", measured)
    with pytest.raises(KeyboardInterrupt):
        package.predict(f"{TOWERS}:Wide", scenario="single-image", check=file, progress=False)
    ((towers, kept),) = seen
    assert towers == (f"{TOWERS}:Wide",)
    assert kept.intact
    assert kept.prediction.groups[0].rows[0].gpu == "h100"
    assert (kept.measured, kept.times) == (None, ())


@pytest.mark.parametrize(
    ("gpu", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA GB200", "gb200"),
        ("NVIDIA B200", "b200"),
        ("NVIDIA L40S", "l40s"),
    ],
)
def test_the_board_of_a_gpu(gpu: str, name: str) -> None:
    assert board_of(gpu) == name


def test_a_gpu_without_kernel_times_is_named() -> None:
    with pytest.raises(package.UsageError, match="no kernel times are stored for NVIDIA L40; there are those of b200"):
        board_of("NVIDIA L40")
