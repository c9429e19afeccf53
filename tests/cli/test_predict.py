"""`vlbench predict` from its arguments to its exit status, and the same in Python."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.record import records
from tests.record.records import results, timed, trial
from tests.trial.plans import ROOT, python_path
from vlbench.api import predicting
from vlbench.api.measured import Interrupted, Measured
from vlbench.api.results import Predictions
from vlbench.errors import UsageError
from vlbench.export.checked_prediction import HIT, held_rows, measured_cell
from vlbench.kernel_times import board
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction, board_of
from vlbench.predicting.predicted import Band, Predicted, PredictedGroup, Prediction
from vlbench.predicting.run import stored_boards
from vlbench.record.fingerprint import take_fingerprint

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
    assert "grid: 1x36x36, 1,296 patches, bfloat16, predicted for h100, l40s" in ended.out
    told = " ".join(ended.out.split())
    assert all(words in told for words in ("bound by, and idle % variant h100 l40s", "stages in ms stage h100 l40s"))
    assert "Predicted, not measured" in ended.out
    table = ended.out.partition("grid: 1x36x36, 1,296 patches: predicted ms\n")[2].partition("\n\n")[0]
    assert table.split()[:3] == ["variant", "h100", "l40s"]
    assert re.search(r"Longer.* \d\.\d-\d\.\d +\d\.\d-\d\.\d|\d\.\d-\d\.\d +\d\.\d-\d\.\d", table)
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
        (("--gpu", "a100"), "--gpu: no kernel times of A100 are stored; there are those of b200"),
        (("--gpu", "NVIDIA-L4"), "--gpu: no kernel times of L4 are stored; there are those of b200"),
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
    h100 = board("h100").stored
    mine = h100.model_copy(update={"board": "a100", "profile": "sm_80", "tables": h100.tables[:1], "errors": ()})
    for profile, sentence in {
        "sm_80": "--perfetto: these GPUs are of several architectures",
        "sm_8": "mine.json: profile sm_8: no such GPU profile; ",
    }.items():
        changed = mine.model_copy(update={"profile": profile}).with_checksum()
        (folder / "mine.json").write_text(changed.model_dump_json())
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


HERE = take_fingerprint("cpu").model_copy(update={"gpu": "NVIDIA H100 80GB HBM3", "cudnn": "9.15.1"})


def at_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "check_gpu", lambda: None)
    monkeypatch.setattr(predicting, "fingerprint_of", lambda device: HERE)


def test_a_prediction_is_kept_before_anything_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = folder / "checked.json", []

    def run(scenario: str, **options: object) -> object:
        seen.append((scenario, options, CheckedPrediction.model_validate_json(file.read_text())))
        raise Interrupted(Measured(results(complete=False)))

    at_a_gpu(monkeypatch)
    monkeypatch.setattr(predicting.running, "run", run)
    with pytest.raises(Interrupted):
        package.predict(f"{TOWERS}:Wide", scenario="single-image", check=file, budget=7, progress=False)
    ((scenario, options, kept),) = seen
    assert (scenario, options["tower"], options["budget"]) == ("single-image", [f"{TOWERS}:Wide"], 7)
    assert kept.intact
    assert (kept.prediction.groups[0].rows[0].gpu, kept.prediction.cudnn) == ("h100", "9.15.1")
    assert (kept.measured, kept.fingerprint) == (None, HERE)
    there = package.load(file)
    assert isinstance(there, Predictions)
    assert there.checked
    assert there.checked.measured == results(complete=False)  # what was done before Ctrl-C
    assert there.exit_code == 6


def checked() -> CheckedPrediction:
    """A prediction of two rows, and what was measured of them: 10.5 and 8.4 ms."""
    told = {"span": Band(low=0.005, high=0.009), "central": 0.007, "ratio": Band(low=1.0, high=1.5)}
    rows = [
        Predicted(row=name, tower=name, gpu="h100", forward="warm", against=against, **told)  # type: ignore[arg-type]
        for name, against in {"baseline": "", "best": "baseline"}.items()
    ]
    group = PredictedGroup(scenario="s", point="", grids=((1, 4, 4),), rows=tuple(rows))
    found = Prediction(vlbench="1", dtype="bfloat16", cudnn="9.19", hosts="", boards={"h100": "there"}, groups=(group,))
    trials = [trial(timed("best", 0.8), number=n, confirms=n > 4) for n in range(10)]
    return CheckedPrediction(
        fingerprint=HERE,
        predicted=datetime(2026, 1, 2, tzinfo=UTC),
        prediction=found.with_checksum(),
        measured=results(records.group(*trials, scenario="s")),
    )


def test_processes_that_lie_apart_are_shown_and_all_have_to_fit() -> None:
    """Two processes took 8 and 10 ms of a band that ends at 9: neither a hit nor a miss."""
    first, *_ = held_rows(checked())
    apart = replace(first, processes=(0.008, 0.010))
    assert (apart.place, measured_cell(apart).shown) == ("partly in it", "8.0-10.0")
    assert [replace(first, processes=each).place for each in [(0.006, 0.008), (0.001, 0.002)]] == [HIT, "below it"]


def test_each_band_stands_beside_what_was_measured(vlbench: Vlbench, folder: Path) -> None:
    file = folder / "checked.json"
    checked().keep(file)
    ended = vlbench("show", str(file))
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in ended.out.partition("then measured on")[2].splitlines()]
    assert "baseline 5.0-9.0 10.50 above it +50.0 % 1.00-1.50 -" in lines
    assert "best 5.0-9.0 8.40 in the band +20.0 % 1.00-1.50 1.25" in lines
    assert "Of 2 rows, all times of 1 lie in the band that was predicted" in " ".join(lines)
    found = package.load(file)
    assert list(found.table()["measured"]) == pytest.approx([0.0105, 0.0084])
    assert found.exit_code == 0  # a miss is a result
    assert json.loads(vlbench("show", str(file), "--json").out)["measured"]["complete"]


def test_a_kept_prediction_that_was_edited_is_refused(vlbench: Vlbench, folder: Path) -> None:
    file = folder / "checked.json"
    checked().keep(file)
    edited = json.loads(file.read_text())
    edited["prediction"]["groups"][0]["rows"][0]["central"] = 1.6
    file.write_text(json.dumps(edited))
    assert (
        "checked.json: its checksum does not fit, it was edited or damaged; predict again"
        in vlbench("show", str(file)).sentence
    )
    del edited["predicted"]
    file.write_text(json.dumps(edited))
    with pytest.raises(UsageError, match=r"checked.json: predicted: .*; predict again"):
        package.load(file)


def test_models_beside_other_towers_are_refused_before_anything_is_predicted(
    vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_gpu(monkeypatch)
    both = ("--tower", "qwen2.5-vl-tiny", *named("Wide"))
    assert "--check: --tower names one of our models beside another tower; give that one alone, with its --with" in (
        vlbench("predict", *both, "--check", "checked.json").sentence
    )
    assert "--budget says nothing without --check" in vlbench("predict", *named("Wide"), "--budget", "9").sentence


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


def test_a_capture_is_held_against_the_model(vlbench: Vlbench, folder: Path) -> None:
    (folder / "trace.json.gz").write_bytes(gzip.compress((ROOT / "tests/counting/forward_trace.json").read_bytes()))
    ended = vlbench("predict", "--capture", "trace.json.gz")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "trace.json.gz: NVIDIA H100 80GB HBM3, kernels as predicted for h100" in ended.out
    printed = vlbench("predict", "--capture", "trace.json.gz", "--json").out
    found = HeldCapture.model_validate_json(printed)
    assert found.figures == "predicted beside captured"
    held = package.predict_capture("trace.json.gz")
    assert held.record == found
    assert held.exit_code == 0
    assert set(held.table()["table"]) >= {"held_busy"}
    (folder / "held.json").write_text(printed)
    assert package.load("held.json").record == found
    assert "kernels as predicted for h100" in vlbench("show", "held.json").out
    page = package.report("held.json", progress=False).html()
    assert "trace.json.gz, held against predictions" in page
    (folder / "held.json").write_text(printed.replace('"gpu": "h100"', '"gpu": "h200"'))
    edited = "held.json: its checksum does not fit, it was edited or damaged; predict again"
    assert vlbench("show", "held.json").sentence == edited
    refused = vlbench("predict", "--capture", "trace.json.gz", "--gpu", "h100", "--gpu", "l40s")
    assert refused.sentence == "--gpu: a capture is of one GPU; name one"
