"""Towers of other folders: copies of our implementations that differ, and packages of nobody's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

import vlbench.implementations
from tests.repositories import write
from tests.revisions.packages import OLD_IMPLEMENTATIONS
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import random_weights
from vlbench.towers.from_folder import claim_of, tower_in_folder
from vlbench.towers.resolve import check_tower, find_factory, is_foreign, resolve_tower

MODEL = "qwen2.5-vl-tiny"
SOURCE = Path(vlbench.implementations.__file__).parent
OPERATOR = """
import torch
SPACE = __name__.replace(".", "_")
LIBRARY = torch.library.Library(SPACE, "DEF")
LIBRARY.define("scaled(Tensor x) -> Tensor")
LIBRARY.impl("scaled", lambda x: x * FACTOR, "CompositeExplicitAutograd")
scaled = getattr(torch.ops, SPACE).scaled
"""


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two copies of our implementations, with an operator that differs; the other has its own stages and flags, too."""
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for folder, factor in zip(folders, ("1", "2"), strict=True):
        ours = folder / "implementations"
        copytree(SOURCE, ours, ignore=ignore_patterns("__pycache__"))
        (ours / "scale.py").write_text(OPERATOR.replace("FACTOR", factor))
        tower = ours / "optimized/tower.py"
        replace(
            tower, "return self.merger(self.guard(x) if self.guard else x), kept", "return scaled(self.merger(x)), kept"
        )
        replace(tower, "from ..stage import", "from ..scale import scaled\nfrom ..stage import")
    ours = folders[1] / "implementations/optimized"
    replace(ours / "tower.py", 'stage("merger")', 'stage("last")')
    replace(ours / "attention.py", '"sdpa-prealloc"', '"sdpa-buffer"')
    replace(ours / "presets.py", '("rope-cache", "sdpa-prealloc", "argsort-inverse", "pinned-h2d")', '("sdpa-buffer",)')
    return folders


class Ear:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def enter(self, name: str) -> None:
        self.heard.append(name)

    def exit(self, name: str) -> None:
        self.heard.append(f"/{name}")


def build(tower: str) -> nn.Module:
    weights = random_weights(MODELS[MODEL])
    return resolve_tower(tower).build(torch.device("cpu"), torch.float32, weights)


def output(module: nn.Module) -> Tensor:
    pixels = torch.randn(48, 1176, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        tokens: Tensor = module(pixels, torch.tensor([[1, 4, 6], [1, 6, 4]]))
    return tokens


def test_two_revisions_in_one_process_each_give_their_own_result(copies: tuple[Path, Path]) -> None:
    """Their operators have one name in the source, and would replace each other under one name in torch."""
    one, other = (build(f"at:{folder}:{MODEL}+best") for folder in copies)
    ours = output(build(f"{MODEL}+best"))
    assert torch.equal(output(one), ours)
    assert torch.equal(output(other), 2 * ours)
    assert torch.equal(output(one), ours)  # not the other's, once both are there


def test_both_are_heard_though_each_marks_stages_of_its_own(copies: tuple[Path, Path]) -> None:
    towers = [build(f"at:{folder}:{MODEL}+best") for folder in copies]
    heard = []
    for tower in [*towers, build(f"{MODEL}+best")]:
        with listen(ear := Ear()):
            output(tower)
        heard.append(ear.heard)
    one, other, ours = heard
    assert one == ours
    assert other == [name.replace("merger", "last") for name in ours]


def test_nobody_is_told_twice_and_nothing_is_marked_while_nobody_listens(copies: tuple[Path, Path]) -> None:
    tower = build(f"at:{copies[0]}:{MODEL}+best")
    output(tower)
    with listen(first := Ear()), listen(second := Ear()):
        output(tower)
    assert first.heard == second.heard
    assert first.heard.count("forward") == 1


def test_flags_and_presets_are_those_of_the_revision(copies: tuple[Path, Path]) -> None:
    one, other = copies
    assert torch.equal(output(build(f"at:{other}:{MODEL}+classic")), output(build(f"at:{other}:{MODEL}+sdpa-buffer")))
    with pytest.raises(UsageError, match="there is no flag 'sdpa-buffer'"):
        resolve_tower(f"at:{one}:{MODEL}+sdpa-buffer")
    found = tower_in_folder(f"at:{one}:{MODEL}+strided-qkv+pinned-h2d")
    assert found is not None
    with pytest.raises(UsageError, match="pinned-h2d cannot be used here"):
        claim_of(found, "cpu")


@pytest.mark.parametrize(
    ("flags", "claim"), [("", "bit-exact"), ("+strided-qkv", "bit-exact"), ("+best", "reassociated")]
)
def test_the_claim_is_that_of_the_flags(copies: tuple[Path, Path], flags: str, claim: str) -> None:
    found = tower_in_folder(f"at:{copies[0]}:{MODEL}{flags}")
    assert found is not None
    assert claim_of(found, "cpu") == claim


def test_weights_are_shared_and_what_is_joined_of_them_is_not(copies: tuple[Path, Path]) -> None:
    weights = random_weights(MODELS[MODEL])
    device = torch.device("cpu")
    towers = [
        resolve_tower(f"at:{each}:{MODEL}+fused-gate-up").build(device, torch.float32, weights) for each in copies
    ]
    one, other = (dict(tower.named_parameters()) for tower in towers)
    key = "tower.patch_embed.proj.weight"
    assert one[key].data_ptr() == other[key].data_ptr() == weights["patch_embed.proj.weight"].data_ptr()


def test_caches_are_within_reach(copies: tuple[Path, Path]) -> None:
    tower = build(f"at:{copies[0]}:{MODEL}+best")
    before = {name: cache.misses for name, cache in tower.caches().items()}
    output(tower)
    assert any(cache.misses > before[name] for name, cache in tower.caches().items())


def test_a_tower_without_weights_at_hand_draws_those_of_its_model(copies: tuple[Path, Path]) -> None:
    tower = resolve_tower(f"at:{copies[0]}:{MODEL}")
    assert tower.model == MODEL
    assert torch.equal(output(tower.build(torch.device("cpu"), torch.float32)), output(build(MODEL)))


FOLDERS = st.lists(st.sampled_from(["a", "b c", "1.0", "x:y", "at", "src"]), min_size=1, max_size=4).map("/".join)
NAMES = st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True)


@given(FOLDERS, st.lists(NAMES, min_size=1, max_size=3).map(".".join), NAMES)
def test_a_factory_elsewhere_survives_being_written_down(folder: str, module: str, name: str) -> None:
    found = tower_in_folder(f"at:/{folder}/end:{module}:{name}")
    assert found is not None
    assert (found.folder, found.tower) == (Path(f"/{folder}/end").resolve(), f"{module}:{name}")
    assert found.is_foreign
    assert tower_in_folder(str(found)) == found
    assert is_foreign(str(found))


@given(FOLDERS, st.sampled_from([MODEL, f"{MODEL}+best", f"{MODEL}+strided-qkv+classic"]))
def test_our_tower_elsewhere_survives_being_written_down(folder: str, tower: str) -> None:
    found = tower_in_folder(f"at:/{folder}/end:{tower}")
    assert found is not None
    assert (found.folder, found.tower) == (Path(f"/{folder}/end").resolve(), tower)
    assert not is_foreign(str(found))


def test_what_says_no_place_has_none() -> None:
    assert tower_in_folder("attic.towers:vision") is None
    assert tower_in_folder(MODEL) is None


@pytest.fixture
def unimported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is imported is forgotten, and the path is as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


TOWER = "from torch import nn\n\n\ndef vision():\n    return nn.Linear({width}, 8)\n"


@pytest.mark.parametrize("root", ["", "src", "python"])
@pytest.mark.usefixtures("unimported")
def test_a_factory_is_imported_from_its_folder_before_any_other(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, width in ((here, 1), (there / root, 2)):
        folder.mkdir(parents=True)
        (folder / "some_towers.py").write_text(TOWER.format(width=width))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    assert find_factory(f"at:{there}:some_towers:vision")().in_features == 2
    assert check_tower(f"at:{there}:some_towers:vision") == f"at:{there}:some_towers:vision"
    with pytest.raises(UsageError, match="some_towers is already imported from elsewhere"):
        find_factory(f"at:{here}:some_towers:vision")


@pytest.mark.usefixtures("unimported")
def test_a_module_that_comes_from_elsewhere_all_the_same_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an installation in place that overrules the path."""
    from importlib.machinery import PathFinder

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "some_towers.py").write_text(TOWER.format(width=1))

    class Installed:
        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> object:
            return PathFinder.find_spec(name, [str(here)]) if name == "some_towers" else None

    monkeypatch.setattr(sys, "meta_path", [Installed, *sys.meta_path])
    with pytest.raises(UsageError, match=rf"some_towers is imported from {here}/some_towers.py all the same"):
        find_factory(f"at:{there}:some_towers:vision")


def test_broken_places_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "implementations").mkdir()
    (tmp_path / "implementations/__init__.py").write_text("1 / 0\n")
    for text, wanted in {
        f"at:{tmp_path}": "write it as at:FOLDER:TOWER",
        f"at:{tmp_path}:{MODEL}": "implementations cannot be loaded: ZeroDivisionError: division by zero",
        f"at:{tmp_path}/nowhere:{MODEL}": "has no implementations/__init__.py",
        f"at:{tmp_path}:towers.vision:make": "has no package 'towers'",
        f"at:{SOURCE.parent}:qwen9": "it has no model 'qwen9'; choose one of",
    }.items():
        for _ in range(2):  # what failed once leaves nothing behind
            with pytest.raises(UsageError) as caught:
                resolve_tower(text)
            assert wanted in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_revision_that_lacks_what_is_needed_is_one_sentence(tmp_path: Path) -> None:
    copytree(SOURCE, tmp_path / "implementations", ignore=ignore_patterns("__pycache__"))
    (tmp_path / "implementations/stage.py").unlink()
    with pytest.raises(UsageError, match=r"cannot be loaded: ModuleNotFoundError: No module named .*stage"):
        resolve_tower(f"at:{tmp_path}:{MODEL}")


def test_a_revision_from_before_towers_said_what_they_are_fed_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, OLD_IMPLEMENTATIONS)
    with pytest.raises(UsageError) as caught:
        resolve_tower(f"at:{tmp_path}:{MODEL}")
    assert str(caught.value) == (
        f"{tmp_path}/implementations has no module preprocessing and no module output, so it does not say what its "
        "towers are fed and return: it is too old for this vlbench; name a later revision, or run the vlbench of "
        "that one"
    )
