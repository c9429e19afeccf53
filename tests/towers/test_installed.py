"""Towers of installed packages: installed into folders that are put on the path, as pip would."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vlbench.cli.completion import towers
from vlbench.cli.listing import tower_rows
from vlbench.errors import UsageError
from vlbench.revisions.request import way_of
from vlbench.towers.resolve import check_tower, resolve_tower


def install(folder: Path, package: str, names: dict[str, str], code: str = "") -> None:
    """What installing a package leaves: its module, and what it says of itself."""
    told = folder / f"{package}-2.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
    points = "".join(f"{name} = {value}\n" for name, value in names.items())
    (told / "entry_points.txt").write_text(f"[vlbench.towers]\n{points}")
    (folder / f"{package}.py").write_text(code)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_tower(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_package_makes_the_model_that_is_named(packages: Path) -> None:
    install(
        packages,
        "toyish",
        {"toyish": "toyish:make"},
        "from tests.towers.toys import Toy\nmake = lambda model: Toy(int(model))",
    )
    tower = resolve_tower("toyish:588")
    assert (tower.name, tower.source) == ("toyish:588", "toyish 2.1")
    module = tower.module(torch.device("cpu"), torch.float32)
    assert module.patch_embed.in_features == 588
    assert check_tower("toyish:588") == "toyish 2.1"


def test_a_package_says_what_runs_where_it_is_not_what_a_gpu_runs(packages: Path) -> None:
    code = "from tests.towers.toys import Toy\nmake = lambda model: Toy(int(model))\nmake.platform = 'CPU platform'"
    install(packages, "labelled", {"labelled": "labelled:make"}, code)
    assert check_tower("labelled:588") == "labelled 2.1, CPU platform"
    tower = resolve_tower("labelled:588")
    assert (tower.platform, tower.source) == ("CPU platform", "labelled 2.1, CPU platform")


def test_nothing_is_imported_before_it_is_asked_for(packages: Path) -> None:
    install(packages, "costly", {"costly": "costly:make"}, "raise SystemExit('imported')")
    rows = {row["tower"]: row for row in tower_rows()}
    assert rows["costly:MODEL"]["from"] == "costly 2.1"
    assert rows["hf-sdpa:MODEL"]["from"] == "vlbench"
    assert "costly:qwen2-vl-72b" in towers("costly:qwen2-vl-7")
    with pytest.raises(UsageError, match="its code is the same in every revision"):
        way_of("costly:qwen2-vl-7b")
    assert "costly" not in sys.modules


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        ("broken:make", "1 / 0", "the package broken 2.1 names broken:make, which cannot be loaded: ZeroDivisionError"),
        ("broken:make", "", "the package broken 2.1 names broken:make, which cannot be loaded: AttributeError"),
        ("gone:make", "", "names gone:make, which cannot be loaded: ModuleNotFoundError: No module named 'gone'"),
        ("broken:make", "make = 3", "names broken:make, which is a int; it must be a function"),
        ("broken:make", "make = lambda model: None", "the factory returned a NoneType; return a torch.nn.Module"),
        ("broken:make", "make = lambda: None", "the factory raised TypeError"),
        ("broken:make", "import vlbench\ndef make(model): raise vlbench.UsageError('pick another')", ": pick another"),
    ],
)
def test_broken_packages(packages: Path, value: str, code: str, words: str) -> None:
    install(packages, "broken", {"broken": value}, code)
    assert refusal("broken:tiny").startswith("tower 'broken:tiny': ")
    assert words in refusal("broken:tiny")


def test_two_packages_with_one_name(packages: Path) -> None:
    install(packages, "one", {"same": "one:make"})
    install(packages, "two", {"same": "two:make"})
    assert refusal("same:tiny") == "tower 'same:tiny': one 2.1 and two 2.1 both name same:; uninstall one of them"


def test_names_that_are_no_packages(packages: Path) -> None:
    install(packages, "other", {"other": "other:make"})
    assert "no installed package names vlm: (packages name: other:)" in refusal("vlm:qwen2.5-vl-7b")
    assert "install one that does, such as vlbench-engines" in refusal("vllm:qwen2.5-vl-7b")
    assert refusal("other:") == "tower 'other:': write it as other:MODEL, with a model that other 2.1 knows"


def test_our_own_names_are_ours(packages: Path) -> None:
    install(packages, "taker", {"hf": "taker:make"}, "raise SystemExit('imported')")
    assert resolve_tower("hf:qwen2.5-vl-tiny").source.startswith("transformers")
    rows = {row["tower"]: row["what it is"] for row in tower_rows()}
    assert rows["hf:MODEL"] == "made by taker:make (never taken: vlbench's own has this name)"
