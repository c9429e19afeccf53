"""Peers and anyone's towers, from the command line to the results file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from tests.cli.conftest import Vlbench
from tests.house import ROOT
from vlbench.implementations.peers import PEERS
from vlbench.record.files import read_results

TOYS = "tests.towers.toys"
SMALL = ("run", "--device", "cpu", "--scenario", "small.toml", "--budget", "1", "--no-card", "--out", "a.json")


def test_a_peer_is_a_row_beside_our_flags(vlbench: Vlbench, folder: Path) -> None:
    pytest.importorskip("transformers")
    named = [option for name in ("hf-sdpa", "hf-eager", "host-grid") for option in ("--variant", name)]
    ended = vlbench(*SMALL, "--budget", "2", *named)
    assert ended.code == 0, ended
    (group,) = read_results(folder / "a.json").groups
    rows = {row.name: (row.flags, row.exactness, row.tower) for row in group.rows}
    assert rows == {
        "baseline": (None, "bit-exact", None),
        "hf-sdpa": ((), "reassociated", PEERS["hf-sdpa"].require()),
        "hf-eager": ((), "reassociated", PEERS["hf-eager"].require()),
        "host-grid": (("host-grid",), "bit-exact", None),
    }
    for variant in group.trials[0].variants:
        assert variant.timings["warm"].seconds
    assert "hf-sdpa reassoc." in " ".join(ended.out.split())
    assert "FAIL" not in ended.out


@pytest.mark.slow(seconds=5)
def test_the_floor_is_timed_in_the_rounds_of_the_towers(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--variant", "floor")
    assert ended.code == 0, ended
    (group,) = read_results(folder / "a.json").groups
    floor = group.trials[0].find("floor")
    assert floor is not None
    assert floor.accuracy is not None
    assert (floor.accuracy.exactness, floor.accuracy.passed) == ("result-changing", True)
    assert floor.timings["warm"].seconds
    assert floor.counts is not None
    assert floor.counts.attention_calls == 4


def test_towers_against_the_first(vlbench: Vlbench, folder: Path) -> None:
    (folder / "mine.py").write_text(f"from {TOYS} import staged\n")
    towers = [option for name in ("mine:staged", f"{TOYS}:Again", f"{TOYS}:Wrong") for option in ("--tower", name)]
    ended = vlbench(*SMALL, *towers, "--exactness", "bit-exact")
    assert ended.code == 5, ended
    (group,) = read_results(folder / "a.json").groups
    assert (group.model, group.weights) == ("mine:staged", "its own")
    assert [(row.name, row.flags, row.exactness, row.reference) for row in group.rows] == [
        ("mine:staged", None, "bit-exact", "mine:staged"),
        (f"{TOYS}:Again", (), "bit-exact", "mine:staged"),
        (f"{TOYS}:Wrong", (), "bit-exact", "mine:staged"),
    ]
    trial = group.trials[0]  # stages cost a toy time, so that a second one may confirm what stood out
    assert [bool(variant.timings) for variant in trial.variants] == [True, True, False]
    assert trial.variants[0].stages.keys() == {"forward", "patch_embed", "mlp", "merger"}
    shown = " ".join(ended.out.split())
    assert f"{TOYS}:Wrong: FAIL: not bit-exact in fp32: error " in shown
    assert "worst token: item" in shown
    assert "Again" in (line.strip() for line in ended.out.splitlines())  # a long name stands on two lines, whole


def test_one_tower_alone(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--tower", f"{TOYS}:Toy", "--dtype", "bf16")
    assert ended.code == 0, ended
    (group,) = read_results(folder / "a.json").groups
    (variant,) = group.trials[0].variants
    assert group.dtype == "bfloat16"
    assert variant.timings["warm"].seconds
    assert variant.first_seconds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tower", "zzz"], "tower 'zzz': there is no model 'zzz'"),
        (["--tower", f"{TOYS}:Toyy"], f"{TOYS} has no 'Toyy'"),
        (["--tower", f"{TOYS}:raises"], "the factory raised RuntimeError: no checkpoint here"),
        (["--tower", f"{TOYS}:Toy", "--tower", f"{TOYS}:Toy"], f"--tower {TOYS}:Toy is given twice"),
        (["--tower", f"{TOYS}:Toy", "--model", "qwen2-vl-tiny"], "--model chooses among our own towers"),
        (["--tower", f"{TOYS}:Toy", "--with", "best"], "--variant chooses among our own towers"),
        (["--tower", f"{TOYS}:Toy", "--ablate", "pairs"], "--ablate chooses among our own towers"),
        (["--tower", f"{TOYS}:Toy", "--dtype", "int4"], "--dtype: 'int4' is not one of"),
        (["--tower", f"{TOYS}:Toy", "--exactness", "near"], "--exactness: 'near' is not one of bit-exact, ulp, "),
        (["--exactness", "ulp"], "--exactness is what the towers of --tower claim"),
        (["--variant", "hf-sdpa+rope-cache"], "hf-sdpa is another project's tower, which has none of our flags"),
        (["--variant", "no.such:thing"], "no.such cannot be imported"),
        (["--variant", "hf-spda"], "there is no flag 'hf-spda'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input(vlbench: Vlbench, folder: Path, options: list[str], words: str) -> None:
    assert words in vlbench(*SMALL, *options).sentence
    assert not (folder / "a.json").exists()


@pytest.mark.slow(seconds=15)
def test_the_template_of_a_package_installs_and_its_towers_are_counted(
    vlbench: Vlbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    copy = copytree(ROOT / "examples/tower-package", tmp_path / "copy")  # building writes beside the source
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(copy)], check=True, timeout=120)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    rows = vlbench("list", "towers", "--json").json()
    assert rows[-1] == {
        "tower": "example:MODEL", "what it is": "made by example_towers:tower", "from": "example-towers 1.0"
    }  # fmt: skip
    ended = vlbench("count", "--tower", "example:small", "--grid", "1x4x4", "--json")
    assert ended.code == 0, ended.err
    assert "example-towers 1.0" in ended.out
    refused = vlbench("count", "--tower", "example:big", "--grid", "1x4x4")
    assert refused.code == 2
    assert refused.sentence.endswith("tower 'example:big': there is no model 'big'; choose one of small, large")
