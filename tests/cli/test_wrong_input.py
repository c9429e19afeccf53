"""Every wrong input ends with one sentence and exit code 2, before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Vlbench
from tests.record.records import group, results, trial
from vlbench.api import measuring
from vlbench.record.files import write_results

HEAD = 'title = "t"\nstands_for = "s"\n'


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scenario", "multi-imge"], "there is no scenario 'multi-imge'; did you mean 'multi-image'?"),
        (["--scenario", "none.toml"], "none.toml does not exist; give the path of a scenario file or a shipped name"),
        (["--model", "qwen2.5-vl-tinny"], "there is no model 'qwen2.5-vl-tinny'; did you mean qwen2.5-vl-tiny?"),
        (["--device", "tpu"], "--device: 'tpu' is not one of auto, cpu, cuda"),
        (["--dtype", "int8"], "--dtype: 'int8' is not one of float32, bfloat16, float16"),
        (["--device", "cpus"], "is not one of auto, cpu, cuda; did you mean cpu?"),
        (["--device", "cuda:0"], "is not one of auto, cpu, cuda; did you mean cuda?"),
        (["--csv", "-"], "--csv -: stands for nothing here; name /dev/stdout, or ./results.json for a file"),
        (["--with", "host-gird"], "there is no flag 'host-gird'; did you mean host-grid?"),
        (["--with", "argsort-inverse+host-inverse"], "are two ways of one seam"),
        (["--with", "batched-windows"], "batched-windows needs host-seqlens; add it"),
        (["--with", "pinned-h2d"], "pinned-h2d cannot be used here: it concerns copies to a GPU"),
        (["--out", "nowhere/a.json"], "--out nowhere/a.json: the folder nowhere does not exist; make it"),
        (["--against", "none.json"], "none.json: no such file"),
        (["--state", "lukewarm"], "--state: 'lukewarm' is not one of warm, cold, churn, behind"),
        (["--state", "behind"], "--state behind queues work on a GPU, and there is none here"),
        (["--filter", "flag=x"], "--filter: 'flag=x' must be COORDINATE=PATTERN"),
        (["--filter", "variant=nothing-*"], "--filter: no cell is left to measure; widen it"),
        (["--ablate", "halves"], "--ablate: 'halves' is not one of add-one, leave-one-out, cumulative, pairs"),
        (["--ablate", "pairs", "--with", "host-grid"], "'host-grid' has 1 flag here; give a set of at least two"),
        (["--ablate", "pairs", "--with", "best", "--with", "exact"], "2 were given; name one"),
        (["--resume"], "--resume: there is no interrupted run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_run(vlbench: Vlbench, folder: Path, options: list[str], words: str) -> None:
    before = sorted(folder.iterdir())
    assert words in vlbench("run", "--device", "cpu", *options).sentence
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("command", ["run", "verify"])
def test_cuda_where_there_is_none(vlbench: Vlbench, command: str) -> None:
    assert "--device cuda: torch sees no GPU here" in vlbench(command, "--device", "cuda").sentence


@pytest.mark.parametrize(
    "options",
    [
        ["--budget", "-1"],
        ["--budget", "soon"],
        ["--seed", "-1"],
        ["--threads", "0"],
        ["--trials", "0"],
        ["stray.png"],
        ["--fast"],
    ],
    ids=" ".join,
)
def test_options_that_the_parser_refuses(vlbench: Vlbench, options: list[str]) -> None:
    ended = vlbench("run", *options)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert options[0].lstrip("-") in ended.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD + '[[item]]\nsiez = "4x6"\n', "siez"),
        (HEAD + '[[item]]\nsize = "-480x640"\n', "'-480x640' has to be HEIGHTxWIDTH"),
        (HEAD + '[[item]]\nsize = "28x5900"\n', "aspect ratio"),
        (HEAD + '[[item]]\nsize = "48', "is not TOML"),
        (HEAD, "give either [[item]] tables or one [mix] table"),
    ],
    ids=["misspelt field", "negative size", "aspect above 200", "not TOML", "nothing to feed"],
)
def test_a_scenario_file(vlbench: Vlbench, folder: Path, content: str, words: str) -> None:
    (folder / "own.toml").write_text(content)
    sentence = vlbench("run", "--scenario", "own.toml").sentence
    assert sentence.startswith("own.toml")
    assert words in sentence


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "x"], "there is no model 'x'"),
        (["--with", "x"], "there is no flag 'x'"),
        (["--dtype", "x"], "--dtype: 'x'"),
        (["--device", "x"], "--device: 'x'"),
    ],
    ids=["model", "flag", "dtype", "device"],
)
def test_both_commands_refuse_alike(vlbench: Vlbench, command: str, options: list[str], words: str) -> None:
    assert words in vlbench(command, *options).sentence


def test_a_file_of_other_measurements_cannot_be_compared_with(vlbench: Vlbench, folder: Path) -> None:
    write_results(results(group(trial(), scenario="video")), folder / "video.json")
    sentence = vlbench("run", "--device", "cpu", "--scenario", "small.toml", "--against", "video.json").sentence
    assert "video.json: it holds other measurements (video qwen2.5-vl-tiny float32 cpu)" in sentence


@pytest.mark.parametrize(("command", "option"), [("run", "--against"), ("show", None)])
def test_a_file_of_another_kind(vlbench: Vlbench, folder: Path, command: str, option: str | None) -> None:
    (folder / "a.json").write_text(json.dumps({"benchmarks": []}))
    arguments = [option, "a.json"] if option else ["a.json"]
    assert "a.json: has no schema_version" in vlbench(command, *arguments).sentence


@pytest.mark.parametrize("time", [0.0, -1.0])
def test_a_file_with_an_impossible_time(vlbench: Vlbench, folder: Path, time: float) -> None:
    content = results(group(trial())).model_dump(mode="json")
    content["groups"][0]["trials"][0]["variants"].append(
        content["groups"][0]["trials"][0]["variants"][0]
        | {"name": "quick", "timings": {"warm": {"seconds": [time] * 6}}}
    )
    content["groups"][0]["rows"].append({"name": "quick", "flags": [], "exactness": "ulp"})
    (folder / "a.json").write_text(json.dumps(content))
    assert "a.json: " in vlbench("show", "a.json").sentence


def test_a_folder_as_the_results_file_is_refused_before_measuring(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*arguments: object) -> None:
        raise AssertionError("measuring had begun")

    monkeypatch.setattr(measuring, "Session", measured)
    (folder / "there").mkdir()
    assert "--out there" in vlbench("run", "--scenario", "small.toml", "--out", "there").sentence


def test_what_only_the_measuring_process_finds_is_refused_alike(vlbench: Vlbench, folder: Path) -> None:
    (folder / "empty").mkdir()
    asked = ("--scenario", "small.toml", "--no-card", "--with", "host-grid", "--weights", "empty")
    sentence = vlbench("run", *asked).sentence
    assert sentence == "empty: no .safetensors file here; convert the checkpoint with save_pretrained"
