from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Vlbench
from vlbench.cli.completion import named
from vlbench.record.files import read_results
from vlbench.record.schema import Results
from vlbench.workload.seams import CASES

RUN = ("run", "--device", "cpu", "--no-card", "--seam", "inverse-permutation", "--budget", "2")


def test_a_seam_from_the_options_to_the_tables_and_the_file(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*RUN, "--filter", "point=n=81,n=324")
    assert ended.code == 0, ended
    assert "seam inverse-permutation [n=81]: qwen2.5-vl-tiny, float32, cpu" in ended.out.replace("\n", " ")
    lines = ended.out.splitlines()
    ladder = lines[next(number for number, line in enumerate(lines) if line.split() == ["variant", "n=81", "n=324"]) :]
    assert [line.split()[0] for line in ladder[1:4]] == ["naive", "argsort-inverse", "host-inverse"]
    assert max(map(len, lines)) <= 80

    groups = read_results(folder / "vlbench-seam-inverse-permutation.json").groups
    assert [(group.scenario, group.point) for group in groups] == [
        ("seam inverse-permutation", "n=81"),
        ("seam inverse-permutation", "n=324"),
    ]
    for group in groups:
        assert [(row.name, row.flags, row.reference) for row in group.rows] == [
            ("naive", None, "naive"),
            ("argsort-inverse", ("argsort-inverse",), "naive"),
            ("host-inverse", ("host-inverse",), "naive"),
        ]
        first = group.trials[0]  # others measure again what stood out
        assert all(variant.timings["warm"].seconds for variant in first.variants)
        assert all(max(variant.timings["warm"].seconds) < 0.1 for variant in first.variants)


def test_several_seams_another_dtype_and_json(vlbench: Vlbench, folder: Path) -> None:
    options = ("--seam", "merge", "--seam", "rope", "--filter", "point=n=256", "--dtype", "bf16")
    ended = vlbench("run", "--device", "cpu", "--no-card", *options, "--budget", "1", "--json", "--out", "a.json")
    assert ended.code == 0, ended
    results = Results.model_validate_json(ended.out)
    assert results == read_results(folder / "a.json")
    assert [(group.scenario, group.dtype) for group in results.groups] == [("seam merge", "bfloat16")]


def test_scenarios_that_are_prompts_measure_the_seams_of_prompts(vlbench: Vlbench, folder: Path) -> None:
    asked = ("--scenario", "prompt-text", "--scenario", "prompt-image")
    ended = vlbench("run", "--device", "cpu", "--no-card", *asked, "--budget", "3", "--json", "--out", "a.json")
    assert ended.code == 0, ended
    groups = Results.model_validate_json(ended.out).groups
    assert {(group.scenario, group.point): [row.name for row in group.rows] for group in groups} == {
        ("seam mrope", "prompt-image"): ["naive", "mrope-numpy"],
        ("seam preparation", "prompt-text"): ["naive", "text-only"],
    }


@pytest.mark.slow
def test_a_video_is_pruned_and_what_that_costs_is_told(vlbench: Vlbench, folder: Path) -> None:
    asked = ("--scenario", "prompt-video", "--scenario", "prompt-video-frames", "--budget", "3", "--csv", "rows.csv")
    ended = vlbench("run", "--device", "cpu", "--no-card", *asked)
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    with (folder / "rows.csv").open() as file:
        rows = {(row["scenario"], row["point"], row["variant"]): row for row in csv.DictReader(file)}
    ways = ("naive", "mrope-numpy")
    assert {each[1:] for each in rows if each[0] == "seam mrope"} == {
        (point, way) for point in ("prompt-video", "prompt-video-frames") for way in ways
    }
    evs, naive = (rows["seam pruning", "prompt-video", way] for way in ("evs", "naive"))
    assert (evs["exactness"], evs["retained"], naive["retained"]) == ("result-changing", "0.25", "")
    assert 0 < float(evs["cosine_error"]) < 0.3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seam", "rop"], "--seam: 'rop' is not one of inverse-permutation, "),
        (["--seam", "transfer"], "--seam transfer measures copies to a GPU, and on a cpu there are none; leave it out"),
        (
            ["--seam", "rope", "--scenario", "video"],
            "--scenario is about a whole tower, and --seam measures seams alone",
        ),
        (["--seam", "rope", "--model", "qwen2-vl-7b"], "--model is about a whole tower"),
        (["--seam", "rope", "--with", "rope-packed"], "--variant is about a whole tower"),
        (["--seam", "rope", "--weights", "."], "--weights is about a whole tower"),
        (["--seam", "rope", "--ablate", "pairs"], "--ablate is about a whole tower"),
        (["--seam", "rope", "--images", "a.jpg"], "--images is about a whole tower"),
        (["--seam", "rope", "--state", "cold"], "--state cold is about a tower's caches, and a seam alone has none"),
        (["--seam", "rope", "--filter", "point=n=1"], "--filter: no cell is left to measure; widen it"),
        (
            ["--scenario", "prompt-text", "--scenario", "video"],
            "--scenario prompt-text is about a prompt, and video feeds",
        ),
        (["--seam", "rope", "--scenario", "prompt-text"], "--scenario prompt-text is no size of --seam rope; leave"),
        (["--seam", "preparation", "--scenario", "prompt-image"], "no size of --seam preparation; leave one of"),
        (["--seam", "preperation", "--scenario", "prompt-image"], "--seam: 'preperation' is not one of "),
        (
            ["--scenario", "prompt-text", "--model", "qwen2-vl-7b"],
            "--model is about a whole tower, and --scenario prompt-text measures seams alone",
        ),
        (
            ["--scenario", "prompt-image", "--tower", "tests.towers.toys:Toy"],
            "--tower is about a whole tower, and --scenario prompt-image measures seams alone",
        ),
        (["--with", "merge-host-indices"], "merge-host-indices is not part of the tower; measure it with --seam merge"),
        (["--with", "evs"], "evs is not part of the tower; measure it with --seam pruning"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused(vlbench: Vlbench, folder: Path, options: list[str], words: str) -> None:
    (folder / "a.jpg").touch()
    before = sorted(folder.iterdir())
    assert words in vlbench("run", "--device", "cpu", *options).sentence
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_behind_needs_a_gpu(vlbench: Vlbench) -> None:
    assert "--state behind queues work on a GPU" in vlbench("run", "--seam", "merge", "--state", "behind").sentence


def test_seams_are_listed_and_completed(vlbench: Vlbench) -> None:
    rows = vlbench("list", "seams", "--json").json()
    assert [row["seam"] for row in rows] == list(CASES)
    assert next(row["flags"] for row in rows if row["seam"] == "merge") == [
        "merge-masked-scatter",
        "merge-host-indices",
    ]
    assert max(map(len, vlbench("list", "seams").out.splitlines())) <= 80
    assert "…" not in vlbench("list", "seams").out
    assert named("seams")("in") == ["inverse-permutation"]
