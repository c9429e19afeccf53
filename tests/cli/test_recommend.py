from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vlbench as package
from tests.cli.conftest import Vlbench
from vlbench.record.preset_file import read_preset
from vlbench.record.recommendation import Recommendation

SMALL = ("recommend", "--device", "cpu", "--scenario", "small.toml", "--no-counters", "--trials", "1")


def test_what_cannot_be_had_is_one_sentence(vlbench: Vlbench, folder: Path) -> None:
    (folder / "there.toml").write_text("x = 1\n")
    for options, words in {
        ("--out", "a.json"): "--out a.json: a preset file is TOML, by whose ending it is known; name a .toml file",
        ("--out", "a+b.toml"): "--out a+b.toml: + and : part the names of variants and towers",
        ("--out", "there.toml"): "--out there.toml: there is a file already; --force replaces it",
        ("--start", "bestt"): "there is no flag or preset 'bestt'; did you mean best?",
        ("--point", "n=3"): "--point: small.toml has no point 'n=3'",
        ("--dtype", "int8"): "--dtype: 'int8' is not one of",
        ("--gpu", "h100"): "--gpu says nothing with --no-counters",
    }.items():
        assert words in vlbench(*SMALL, *options).sentence
    assert "must be even both ways" in vlbench("recommend", "--device", "cpu", "--grid", "1x5x4").sentence
    assert "--scenario says nothing beside --grid" in vlbench(*SMALL, "--grid", "1x4x4").sentence
    assert sorted(path.name for path in folder.iterdir()) == ["small.toml", "there.toml"]


@pytest.mark.slow(20)
def test_a_recommendation_is_a_preset_file_that_a_run_takes(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--budget", "12", "--out", "mine.toml")
    assert ended.code in (0, 4, 6), ended  # whether there was time is the machine's
    assert max(map(len, ended.out.splitlines())) <= 80
    lines = ended.out.splitlines()
    assert lines[0].startswith("cpu, qwen2.5-vl-tiny (width 160), small, 48 patches")
    assert any(line.startswith("Not applicable: ") for line in lines)
    assert any(line.startswith(("Recommended: ", "Nothing was chosen: the preset best, unchanged")) for line in lines)
    found = read_preset(Path("mine.toml"))
    assert found.intact
    assert found.by.startswith("measured on ")
    assert (found.device, found.scenario, found.grids) == ("cpu", "small", ((1, 4, 6), (1, 4, 6)))

    small = ("--device", "cpu", "--scenario", "small.toml", "--budget", "1", "--no-card")
    ended = vlbench("run", *small, "--preset", "mine.toml")
    assert ended.code == 0, ended
    assert "mine.toml" in ended.out
    assert "was chosen for" not in ended.out
    ended = vlbench("count", "--preset", "mine.toml", "--grid", "1x4x6")
    assert "mine.toml was chosen for cpu, qwen2.5-vl-tiny (width 160)" in " ".join(ended.out.split())


@pytest.mark.slow(20)
def test_what_there_is_no_time_to_count_is_left_out_where_times_are_taken(vlbench: Vlbench, folder: Path) -> None:
    options = ("--device", "cpu", "--scenario", "small.toml", "--trials", "1", "--budget", "4", "--out", "mine.toml")
    ended = vlbench("recommend", *options)
    assert ended.code in (5, 6), ended
    told = " ".join(ended.out.split())
    assert "Not counted: what flags ask of a GPU: counting did not end within its 1 s (--no-counters" in told
    assert "counted: qwen" not in told
    assert Path("mine.toml").exists()
    if torch.cuda.is_available():
        return
    ended = vlbench("recommend", "--device", "cuda", "--grid", "1x36x36", "--budget", "1")
    assert ended.sentence.startswith("--budget: counting did not end within its 1 s; give more time")


@pytest.mark.slow(20)
def test_without_a_gpu_a_set_for_one_is_chosen_from_counts(folder: Path) -> None:
    told: list[str] = []
    found = package.recommend(model="qwen2.5-vl-tiny", device="cuda", grid="1x36x36", progress=told.append)
    record: Recommendation = found.record
    assert found.exit_code == 0
    assert record.preset.by == "chosen from counts, not measured on a GPU"
    assert {each.by for each in record.flags} <= {"counts", "predicted", "-"}
    (low, high) = next(each.predicted["h100"] for each in record.flags if each.flag == "host-seqlens")
    assert 1.5 < low < high
    assert {"predicted_h100_low", "predicted_h100_high"} <= set(found.table().columns)
    effects = {each.flag: each.effect for each in record.flags}
    assert effects["host-seqlens"] == effects["host-grid"] == "fewer"
    assert effects["fp8-linear"] == "not tried"
    assert record.counted_as.startswith("qwen2.5-vl-tiny, bfloat16, grid")
    assert {"flag", "effect", "by", "table"} <= set(found.table().columns)
    assert any("counting what each flag asks of a GPU" in line for line in told)
