from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.implementations.test_module_stages import GRIDS, PIXELS
from tests.implementations.towers import relative_error
from tests.towers import toys
from vlbench.errors import UsageError
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.peers import PEERS
from vlbench.towers.resolve import check_tower, is_foreign, resolve_tower

CPU, META = torch.device("cpu"), torch.device("meta")
TINY = "qwen2.5-vl-tiny"
TOYS = "tests.towers.toys"


def built(text: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    return resolve_tower(text).build(CPU, dtype)


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_tower(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_of_our_models_is_its_reference_tower() -> None:
    assert type(built(TINY)).__name__ == "Qwen2_5VisionTower"
    assert type(built("qwen2-vl-tiny")).__name__ == "Qwen2VisionTower"


@pytest.mark.parametrize("text", [f"{TINY}+host-grid+rope-cache", f"{TINY}+best", "qwen2-vl-tiny+exact"])
def test_our_tower_with_flags_and_presets(text: str) -> None:
    reference_tower, flagged = built(text.partition("+")[0]), built(text)
    assert isinstance(flagged, OptimizedVisionTower)
    assert flagged.flags.names
    assert relative_error(flagged(PIXELS, GRIDS), reference_tower(PIXELS, GRIDS)) < 1e-5


@pytest.mark.parametrize("head", ["hf", "hf-sdpa", "hf-eager"])
def test_a_peer(head: str) -> None:
    pytest.importorskip("transformers")
    tower = resolve_tower(f"{head}:{TINY}")
    assert tower.model == TINY
    assert tower.source.startswith("transformers ")
    assert relative_error(built(f"{head}:{TINY}")(PIXELS, GRIDS), built(TINY)(PIXELS, GRIDS)) < 1e-5


@pytest.mark.parametrize("text", ["qwen2.5-vl-7b", "qwen2.5-vl-7b+best", "hf:qwen2.5-vl-7b", f"{TOYS}:Toy"])
def test_on_meta_a_full_size_takes_no_memory(text: str) -> None:
    with META:
        tower = resolve_tower(text).build(META, torch.bfloat16)
    assert {(each.device.type, each.dtype) for each in tower.parameters()} == {("meta", torch.bfloat16)}


def test_a_factory_of_anyones() -> None:
    tower = resolve_tower(f"{TOYS}:Toy")
    assert (tower.name, tower.source, tower.model) == (f"{TOYS}:Toy", f"{TOYS}:Toy", None)
    assert tower.build(CPU, torch.float32)(PIXELS, GRIDS).shape == (1, toys.WIDTH)


def test_a_factory_draws_the_same_weights_each_time_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    tower = resolve_tower(f"{TOYS}:Toy")
    first, second = tower.build(CPU, torch.float32), tower.build(CPU, torch.float32)
    assert first is not second
    assert torch.equal(first(PIXELS, GRIDS), second(PIXELS, GRIDS))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_factorys_weights_are_cast_and_what_it_computes_is_not() -> None:
    module = resolve_tower(f"{TOYS}:Toy").module(CPU, torch.bfloat16)
    assert {each.dtype for each in module.parameters()} == {torch.bfloat16}
    assert {each.dtype for each in module.buffers()} == {torch.float32}


@pytest.mark.parametrize("name", ["staged", "A_TOWER"])
def test_a_factory_or_a_name_may_give_a_tower(name: str) -> None:
    tower = resolve_tower(f"{TOYS}:{name}")
    assert tower.stages == toys.STAGES
    assert (tower.name, tower.source) == (f"{TOYS}:{name}", "toys 1.0")


def test_a_module_of_the_project_from_a_folder_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As [tool.vlbench] names it, which is found upwards."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tower_of_the_project.py").write_text(f"from {TOYS} import Toy")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert built("tower_of_the_project:Toy")(PIXELS, GRIDS).shape[0] > 0


@pytest.mark.parametrize("inside", ["", "inside"])
def test_a_package_in_the_src_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    package = f"packaged{inside}"
    (tmp_path / "src" / package).mkdir(parents=True)
    (tmp_path / "src" / package / "__init__.py").touch()
    (tmp_path / "src" / package / "vision.py").write_text(f"from {TOYS} import Toy")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / inside)
    before = [path for path in sys.path if path]
    monkeypatch.setattr(sys, "path", [*before])
    assert built(f"{package}.vision:Toy")(PIXELS, GRIDS).shape[0] > 0
    assert sys.path[: len(before)] == before, "what is installed comes first"


def test_a_file_in_src_is_named_as_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src" / "acme").mkdir(parents=True)
    (tmp_path / "src" / "acme" / "vision.py").touch()
    monkeypatch.chdir(tmp_path)
    for written, meant in (("src/acme/vision.py:make", "acme.vision:make"), ("src.py:make", "src:make")):
        with pytest.raises(UsageError, match=f"write the module as it is imported, {meant}(;|$)"):
            check_tower(written)
    (tmp_path / "src" / "__init__.py").touch()
    with pytest.raises(UsageError, match=r"write the module as it is imported, src\.acme\.vision:make$"):
        check_tower("src/acme/vision.py:make")


def test_a_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "towers_of_this_folder.py").write_text("from tests.towers.toys import Toy\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert check_tower("towers_of_this_folder:Toy") == "towers_of_this_folder:Toy"
    (tmp_path / "this.py").write_text("raise AssertionError('a stray module of the current folder')\n")
    monkeypatch.delitem(sys.modules, "this", raising=False)
    importlib.import_module("this")  # the installed one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("qwen2.5-vl-tinny", "there is no model 'qwen2.5-vl-tinny'; did you mean qwen2.5-vl-tiny?"),
        ("zzz", "there is no model 'zzz'; the models are qwen2-vl-2b, "),
        (f"{TINY}+rope-cash", "there is no flag 'rope-cash'; did you mean rope-cache?"),
        ("hf:qwen9", "there is no model 'qwen9'"),
        (":factory", "write it as package.module:factory"),
        ("module:", "write it as package.module:factory"),
        ("my_tower.py:Tower", "write the module as it is imported, my_tower:Tower"),
        ("./towers/mine.py:make", "write the module as it is imported, towers.mine:make"),
        (
            "no.such.module:Toy",
            "no.such.module cannot be imported: ModuleNotFoundError: No module named 'no'; call vlbench in the folder",
        ),
        (f"{TOYS}:Toyy", f"{TOYS} has no 'Toyy'; did you mean {TOYS}:Toy?"),
        (f"{TOYS}:unlike", f"{TOYS} has no 'unlike'; name a function in it"),
        (f"{TOYS}:A_NUMBER", "A_NUMBER is a int; name a function that makes a tower"),
        (f"{TOYS}:raises", "the factory raised RuntimeError: no checkpoint here"),
        (f"{TOYS}:ends", "the factory raised SystemExit: no GPU here"),
        (f"{TOYS}:needs_an_argument", "the factory raised TypeError: "),
        (f"{TOYS}:nothing", "the factory returned a NoneType; return a torch.nn.Module or a vlbench.Tower"),
    ],
)
def test_wrong_names(text: str, words: str) -> None:
    assert refusal(text).startswith(f"tower {text!r}: ")
    assert words in refusal(text)


def test_a_module_that_raises_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "damaged_towers.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot be imported: ZeroDivisionError: division by zero" in refusal("damaged_towers:Toy")


def test_a_peer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "hf-sdpa", replace(PEERS["hf-sdpa"], package="not-installed-anywhere"))
    assert "hf-sdpa needs not-installed-anywhere, which is not installed; pip install" in refusal(f"hf:{TINY}")


def test_checking_a_name_calls_nobodys_factory() -> None:
    assert check_tower(f"{TOYS}:raises") == f"{TOYS}:raises"
    assert check_tower(f"{TOYS}:A_TOWER") == "toys 1.0"
    assert check_tower(TINY) is None
    with pytest.raises(UsageError, match="there is no model"):
        check_tower("hf:nothing")


def test_what_is_foreign() -> None:
    assert is_foreign("a.b:c")
    assert not any(map(is_foreign, (TINY, f"{TINY}+best", f"hf:{TINY}", f"hf-eager:{TINY}")))
