"""The list of towers, what they are fed, and what looks like one in a package's source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.surveying.toy import release
from vlbench.errors import UsageError
from vlbench.surveying.build import tower_class
from vlbench.surveying.discover import discovered
from vlbench.surveying.forms import FORMS, described, fed, form_inputs, form_of, sizes_of
from vlbench.surveying.listed import LIST, Listed, as_toml, listed_package
from vlbench.surveying.releases import chosen
from vlbench.untrusted.files import Kind, read_toml


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(9, 8)
        self.patch_embed = nn.Conv3d(3, 8, (2, 4, 4))

    def forward(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, more: int = 1) -> None: ...


def test_sizes_come_from_the_weight_that_takes_in_patches() -> None:
    sizes = sizes_of(Tower(), ((1, 6, 8),))
    assert sizes.names == {"B": 1, "N": 48, "L": 48, "M": 1, "C": 3, "T": 2, "P": 4, "D": 96}
    assert sizes.shape("1 C P N*P") == (1, 3, 4, 192)
    with pytest.raises(UsageError, match="nothing says how large 'H' is"):
        sizes.shape("H")


def test_a_form_is_by_the_arguments_of_the_call() -> None:
    inputs = form_inputs(Tower(), "patches")
    assert inputs == {"hidden_states": "pixels N D", "grid_thw": "thw"}
    assert form_of(described(inputs)) == "patches"
    made = fed(inputs, sizes_of(Tower(), ((1, 6, 8),)), torch.zeros)
    assert made["hidden_states"].shape == (48, 96)
    assert made["grid_thw"].tolist() == [[1, 6, 8]]
    with pytest.raises(UsageError, match="it is not called as images are: grid_thw"):
        form_inputs(Tower(), "images")


def test_integers_in_words() -> None:
    words = {"a": "hw", "b": "merges", "c": "positions", "d": "mask 1 N"}
    sizes = sizes_of(Tower(), ((1, 2, 3),))
    found = {name: each.tolist() for name, each in fed(words, sizes, torch.zeros).items()}
    assert found == {"a": [[2, 3]], "b": [1], "c": [[[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]], "d": [[1] * 6]}


def test_every_entry_of_the_list_is_whole_and_no_name_is_there_twice() -> None:
    known = listed_package("transformers")
    assert len(known.towers) >= 40
    assert sum(each.form != "images" for each in known.towers.values()) >= 27
    assert not known.towers.keys() & known.left_out.keys()
    assert not known.aliases.keys() & known.towers.keys()
    assert set(known.aliases.values()) <= known.towers.keys()
    assert len({each.tower for each in known.towers.values()}) == len(known.towers)
    assert all(reason for reason in known.left_out.values())


def test_the_list_is_in_the_words_of_a_proposal(tmp_path: Path) -> None:
    tower = Listed.model_validate({"name": "a", "class": "package.a:Tower", "config": "Config", "form": "patches"})
    own = tmp_path / "own.toml"
    own.write_text(as_toml("package", tower))
    assert listed_package("package", own).only([]) == [tower]
    assert read_toml(LIST, Kind("")).keys() == {"transformers"}


ENTRY = "[p.towers.a]\nclass = 'p.a:A'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[p.towers.a]\nclass = 'p.a:A'\nconfig = 'C'\nform = 'boxes'", "form 'boxes' is not one of patches"),
        ("[p.towers.a]\nclass = 'p.a:A'\nconfig = 'C'\ninputs = {x = 'pixels Q'}", "the input x is 'pixels Q'"),
        ("[p.towers.a]\nclass = 'A'\nconfig = 'C'", "p.towers.a.class"),
        ("[q.towers]", "it lists no towers of 'p'"),
        ("[p", "not TOML"),
        ("[p.towers]", "it lists no towers of 'p'"),
        (f"{ENTRY}config = 'C D'", r"p\.towers\.a\.config: String should match"),
        (f"{ENTRY}config = 'C'\nsettings = 3", r"p\.towers\.a\.settings: Input should be a valid dict"),
        (f"{ENTRY}config = 'C'\nwidht = 1", r"p\.towers\.a\.widht: Extra inputs are not permitted"),
        (f"{ENTRY}config = 'C'\none_picture = 'maybe'", r"p\.towers\.a\.one_picture: Input should be a valid boolean"),
        (f"{ENTRY}config = 'C'\nname = 'b'", r"towers\.a says that its name is 'b'; leave name out"),
        (f"{ENTRY}config = 'C'\nform = 'images'\ninputs = {{x = 'thw'}}", "form and inputs both say what it is fed"),
        (f"{ENTRY}config = 'C'\n[p.aliases]\nb = 'c'", r"aliases\.b is 'c', which is not in towers"),
        (f"{ENTRY}config = 'C'\n[p.left_out]\nb = ' '", r"left_out\.b has no reason"),
        (f"{ENTRY}config = 'C'\n[p.left_out]\na = 'x'", "a is in towers and in left_out"),
        ("[p.towers.a]\nclass = 'os.path:A'\nconfig = 'C'", r"p\.towers\.a\.class: os\.path:A is not in p"),
        ("[p.towers.a]\nclass = 'p.a:A b'\nconfig = 'C'", r"p\.towers\.a\.class: String should match"),
    ],
)
def test_a_list_that_is_none_is_told_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(UsageError, match=said):
        listed_package("p", own)


def test_a_tower_that_is_left_out_says_why() -> None:
    known = listed_package("transformers")
    name, reason = next(iter(known.left_out.items()))
    with pytest.raises(UsageError) as refused:
        known.only([name])
    assert reason[:40] in str(refused.value)
    with pytest.raises(UsageError, match="did you mean qwen2_vl"):
        known.only(["qwen2vl"])


SOURCE = """
class {a}PreTrainedModel: ...

class {a}VisionModel({a}PreTrainedModel):
    config: {a}VisionConfig
    def forward(self, pixel_values, grid_thw, **kwargs): ...

class {a}VisionEncoder({a}PreTrainedModel):
    def __init__(self, config: {a}VisionConfig): ...
    def forward(self, pixel_values): ...

class {a}Model({a}PreTrainedModel):
    config: {a}Config
    def forward(self, input_ids, pixel_values, image_grid_thw): ...

class {a}Backbone({a}PreTrainedModel):
    config: {a}Config
    def forward(self, pixel_values): ...
"""


def test_towers_are_found_in_source_that_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "some_package/models/one"
    folder.mkdir(parents=True)
    (tmp_path / "some_package/__init__.py").write_text("raise SystemExit('imported')")
    (folder / "modeling_one.py").write_text(SOURCE.format(a="One"))
    monkeypatch.syspath_prepend(tmp_path)
    found = discovered("some_package")
    assert {name: (each.tower, each.config) for name, each in found.towers.items()} == {
        "one": ("some_package.models.one.modeling_one:OneVisionModel", "OneVisionConfig")
    }
    assert found.left_out == {
        "one.OneBackbone": "its config is OneConfig, which is none of a vision tower",
        "one.OneVisionEncoder": "it stands beside OneVisionModel",
    }
    assert set(FORMS) == {"patches", "cut patches", "images"}
    with pytest.raises(UsageError, match="no_such_package is not installed"):
        discovered("no_such_package")


KNOWN = ["5.19.0", "5.20.0", "5.20.2", "5.20.1", "5.21.0", "5.22.0rc1", "5.22.0", "5.23.0", "4.9.1"]


@pytest.mark.parametrize(
    ("over", "releases"),
    [
        ("5.19..5.21", ["5.19.0", "5.20.2", "5.21.0"]),
        ("5.20.1..5.22.0", ["5.20.1", "5.21.0", "5.22.0"]),
        ("4.9..5.19", ["4.9.1", "5.19.0"]),
        ("5.23..5.23", ["5.23.0"]),
    ],
)
def test_releases_of_a_range(over: str, releases: list[str]) -> None:
    assert chosen(KNOWN, over) == releases


@pytest.mark.parametrize(
    ("over", "said"), [("5.23..5.19", "newer than"), ("5.19", "FIRST..LAST"), ("5.18..5.19", "no release 5.18")]
)
def test_a_range_that_is_none(over: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(KNOWN, over)


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("json", "json has no file modeling_"),
        ("token", "token is one file and no package of towers"),
        ("sys", "sys is one file and no package of towers"),
        ("__main__", "__main__ is not installed|__main__ is one file"),
        ("no such", "no such is not installed"),
    ],
)
def test_a_package_without_towers_is_told_in_one_sentence(package: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        discovered(package)


def test_source_that_this_python_does_not_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = release(tmp_path, "1.0", good="x = layer(x)", bad="x = = y")
    monkeypatch.syspath_prepend(folder)
    found = discovered("toy_towers")
    assert list(found.towers) == ["good"]
    assert found.left_out["bad.modeling_bad"].startswith("not Python that this version reads: SyntaxError")


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("toy_towers.models.good.modeling_good:Other", "GoodVisionConfig", "this release has no Other in toy_towers."),
        ("toy_towers.models.good.modeling_good:GoodVisionModel", "Other", "this release has no Other in toy_towers."),
        ("toy_towers.models.none:A", "C", "this release has no module toy_towers.models.none"),
        ("toy_towers.models.lacking.modeling_lacking:A", "C", "it needs a package that is not installed: no_such"),
    ],
)
def test_what_a_release_does_not_have_is_named(
    name: str, config: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = release(tmp_path, "1.0", good="x = layer(x)", lacking="x = layer(x)")
    (folder / "toy_towers/models/lacking/modeling_lacking.py").write_text("import no_such.thing\n")
    monkeypatch.syspath_prepend(folder)
    for module in [each for each in sys.modules if each.startswith("toy_towers")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UsageError, match=said):
        tower_class(Listed.model_validate({"class": name, "config": config}))
