"""`vlbench atlas` from its arguments to its exit status, on a package of a few lines and on transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.export.rendered import shown
from tests.surveying.toy import DYING, LIST, RAISING, WAITING, listed, release
from tests.trial.plans import ROOT, python_path
from vlbench.export.atlas import atlas_parts
from vlbench.record.atlas import read_atlas
from vlbench.record.site import Where
from vlbench.surveying.listed import listed_package

FILE = "toy_towers/models/good/modeling_good.py"
NOT_WAITING = "x = layer(x)"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.0", **lines: str) -> None:
    """The package, where this process and those that it starts find it."""
    place = release(folder / f"release-{version}", version, **lines)
    monkeypatch.setenv("PYTHONPATH", python_path(place))
    monkeypatch.syspath_prepend(place)
    (folder / LIST).write_text(listed(*lines))


def test_a_row_for_each_way_and_those_that_cannot_be_counted_by_name(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder, monkeypatch, good=WAITING, raising=RAISING, dying=DYING, last=NOT_WAITING)
    ended = vlbench("atlas", "toy_towers", "--list", LIST, "--grid", "1x4x6", "--out", "one.json", "--json")
    assert ended.code == 6, ended
    found = {row["name"]: row for row in ended.json()["rows"]}
    assert list(found) == ["good", "raising", "dying", "last"]
    waits = {(way["grid"], way["prepared"]): way["count"]["waits"] for way in found["good"]["ways"]}
    assert waits == {("device", False): 3, ("device", True): 3, ("host", False): 0, ("host", True): 3}
    (line,) = found["good"]["ways"][0]["count"]["lines"]
    where = Where.parse(line["where"])
    assert (where.file, where.source, line["times"], line["event"]) == (FILE, WAITING, 3, "read-back")
    assert (found["good"]["depth"], found["good"]["form"]) == (3, "pixel_values: pixels N D, grid_thw: thw")
    assert "RuntimeError at toy_towers/models/raising/modeling_raising.py" in found["raising"]["failed"]
    assert found["raising"]["failed"].endswith("no such shape")
    assert found["dying"]["failed"].startswith("while it was counted, its process ended with code 3: ")
    assert found["last"]["ways"][0]["count"]["waits"] == 0
    atlas = read_atlas(folder / "one.json")
    assert "name 3 towers at most with --only" in shown(list(atlas_parts(atlas)))
    few = shown(list(atlas_parts(atlas.model_copy(update={"rows": atlas.rows[:3]}))))
    assert f"good, grid on the device: 3x read-back at {FILE}" in " ".join(few.split())
    assert "1 tower on" in shown(list(atlas_parts(atlas.model_copy(update={"rows": atlas.rows[:1]}))))
    (good, way) = (atlas.rows[0], atlas.rows[0].ways[0])
    refused = way.model_copy(update={"count": None, "failed": "RuntimeError at a.py:1: no"})
    good = good.model_copy(update={"ways": (refused, *good.ways[1:])})
    told = " ".join(shown(list(atlas_parts(atlas.model_copy(update={"rows": (good,)})))).split())
    assert "good, grid on the device: not counted: this form is refused by the tower: RuntimeError at a.py:1" in told
    assert json.loads((folder / "one.json").read_text()) == ended.json()
    loaded = package.load("one.json")
    assert (loaded.exit_code, len(loaded.table())) == (6, 8)


@pytest.mark.slow
def test_a_release_is_held_to_its_file_and_to_others(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("atlas", "toy_towers", "--list", LIST, "--grid", "1x4x6")
    install(folder, monkeypatch, good=NOT_WAITING)
    (folder / "results/atlas").mkdir(parents=True)
    stored = folder / "results/atlas/toy_towers-1.0.json"
    without = vlbench(*words, "--check")
    assert (without.code, "there is no results/atlas/toy_towers-1.0.json" in without.err) == (6, True)
    assert vlbench(*words, "--out", stored).code == 0
    same = vlbench(*words, "--check")
    assert (same.code, "4 same" in same.out) == (0, True)
    install(folder, monkeypatch, "1.1", good=WAITING)
    against = vlbench(*words, "--against", stored)
    assert against.code == 3
    assert f"{FILE}:" in against.out.replace("\n", "")
    assert max(map(len, against.out.splitlines())) <= 80
    install(folder, monkeypatch, "1.0.1", good=NOT_WAITING)
    monkeypatch.setenv("PYTHONPATH", python_path(release(folder / "release-1.0", "1.0", good=WAITING)))
    monkeypatch.syspath_prepend(folder / "release-1.0")
    assert vlbench(*words, "--check").code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no_such",), "it lists no towers of 'no_such'"),
        (("--only", "qwen2vl"), "did you mean qwen2_vl"),
        (("--check", "--over", "5.22..5.23"), "one thing each"),
        (("--over", "5.23..5.22"), "newer than"),
        (("--grid", "0x1x1"), "--grid"),
        (("--list", "none.toml"), "none.toml: no such file"),
        (("--dtype", "int8"), "--dtype"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(vlbench: Vlbench, words: tuple[str, ...], said: str) -> None:
    assert said in vlbench("atlas", *words).sentence


@pytest.mark.slow(6)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("GoodVisionModel", "Other", "good: this release has no Other in toy_towers.models.good.modeling_good"),
        ('form = "patches"', 'form = "images"', "good: it is not called as images are: grid_thw"),
        ('form = "patches"', 'inputs = {pixel_values = "pixels 3 N", grid_thw = "thw"}', "good: RuntimeError at "),
        ('form = "patches"', 'form = "patches"\nsettings = {widht = 3}', "no setting 'widht'"),
    ],
)
def test_a_list_of_which_nothing_can_be_counted_is_wrong(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    install(folder, monkeypatch, good=NOT_WAITING)
    (folder / LIST).write_text(listed("good").replace(old, new))
    sentence = vlbench("atlas", "toy_towers", "--list", LIST, "--grid", "1x4x6").sentence
    assert sentence.startswith(f"{LIST}: no tower of it could be counted; ")
    assert said in sentence


@pytest.mark.slow
def test_new_towers_are_proposed_as_entries_that_count(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder, monkeypatch, good=WAITING, raising=RAISING)
    ended = vlbench("atlas", "toy_towers", "--discover", "--grid", "1x4x6")
    assert ended.code == 0
    entry = ended.out[: ended.out.index("\n\n")] if "\n\n" in ended.out else ended.out
    assert listed("good").strip() in ended.out
    assert "raising: not counted" in ended.out
    (folder / "own.toml").write_text(listed("good"))
    assert entry.startswith("[toy_towers.towers.good]")
    assert vlbench("atlas", "toy_towers", "--list", "own.toml", "--grid", "1x4x6").code == 0


@pytest.mark.slow
def test_three_towers_of_transformers_are_as_they_are_stored(
    vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    ended = vlbench("atlas", "--check", "--only", "qwen2_vl", "--only", "hunyuan_vl", "--only", "siglip")
    assert ended.code == 0, ended
    stored = {row.name: row for row in read_atlas(ROOT / "results/atlas/transformers-5.23.0.json").rows}
    waits = {way.name: way.count.waits for way in stored["hunyuan_vl"].counted if way.count}
    assert (waits["grid on the host"], waits["grid on the device"]) == (0, 91)


def test_the_stored_atlas_has_every_listed_tower_and_says_of_each_what_it_is() -> None:
    stored, known = read_atlas(ROOT / "results/atlas/transformers-5.23.0.json"), listed_package("transformers")
    assert [row.name for row in stored.rows] == list(known.towers)
    assert stored.complete
    assert stored.left_out == known.left_out
    assert sum(way.count.waits > 0 for row in stored.rows for way in row.counted if way.count) > 40
    for row in stored.rows:
        for way in row.counted:
            assert way.count is not None
            assert sum(line.times for line in way.count.lines) == way.count.waits, (row.name, way.name)
            assert all(line.where.file for line in way.count.lines)
