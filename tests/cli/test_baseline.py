"""`vlbench baseline` from its arguments to its exit status; taking proposals is tested with the gate."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from shutil import copy

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.gated import FILE, LAYER, SYNC, commit, edit, git, head, keep_one_tower, make_repository, write_towers
from tests.record.baselines import TIMED
from vlbench.gating.manifest import NAME
from vlbench.record.baseline_files import load_baseline, read_baseline, write_baseline

SCHEMA_1 = Path(__file__).parents[1] / "record" / "schema_1" / "baseline.json"
"""A sealed baseline of the earlier file format."""


def age(torch: str) -> None:
    """The file as somebody would have accepted it with another torch, at a revision that a squash took away."""
    stored = read_baseline(FILE)
    entry = stored.accepted[0].model_copy(update={"revision": "0" * 40})
    cells = tuple(
        each.model_copy(update={"key": each.key.model_copy(update={"torch_version": torch})}) for each in stored.counted
    )
    write_baseline(stored.model_copy(update={"counted": cells, "accepted": (entry,)}).sealed(), FILE)
    commit()


def test_a_file_that_is_there_is_kept_and_a_name_must_be_one(
    vlbench: Vlbench, gated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gated.read_text()
    options = ("--tower", "towers:Tower", "--reason", "again")
    assert "it is there already; `vlbench gate` proposes" in vlbench("baseline", "save", gated, *options).sentence
    for name, words in (
        ("x.proposed.json", "stands for proposals"),
        ("x.yaml", "a baseline is a .json file"),
        ("results/baselines", "a baseline is a .json file"),
    ):
        assert words in vlbench("baseline", "save", name, *options).sentence
    assert gated.read_text() == before
    Path("file").touch()
    refused = vlbench("baseline", "save", "file/kept/x.json", *options).sentence
    assert refused == "file/kept/x.json: file is in the way, for it is no folder; move it or choose another"
    gated.with_name(NAME).write_text("{")
    monkeypatch.setattr("vlbench.gating.save.count_all", None)
    ended = vlbench("baseline", "save", gated.with_name("x.json"), *options)
    assert (ended.code, "take back what was changed by hand" in ended.err) == (6, True)


TOY = ("--tower", "tests.towers.toys:Toy")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "there is nothing to save; name what to count with --tower"),
        (["--scenario", "small.toml"], "there is nothing to save"),
        (["--results", "small.toml", "--with", "best"], "name one with --tower"),
        (["--results", "none.json"], "none.json: no such file"),
        ([*TOY, "--with", "best"], "no --tower is one of them; leave --with out"),
        (["--tower", "qwen9-vl"], "there is no model 'qwen9-vl'"),
        (["--tower", "qwen2.5-vl-tiny+host-gird"], "there is no flag 'host-gird'; did you mean host-grid?"),
        ([*TOY, "--grid", "3x3"], "--grid: '3x3' must be FRAMESxROWSxCOLUMNS"),
        ([*TOY, "--grid", "1x4x4", "--scenario", "small.toml"], "--grid takes the place of --scenario"),
        ([*TOY, "--scenario", "smal.toml"], "smal.toml does not exist"),
        ([*TOY, "--dtype", "int4"], "--dtype: 'int4' is not one of"),
        ([*TOY, "--reason", " "], "--reason is empty; say why these figures are right"),
    ],
)
def test_wrong_options_of_save(vlbench: Vlbench, folder: Path, options: list[str], words: str) -> None:
    before = sorted(folder.iterdir())
    assert words in vlbench("baseline", "save", "x.json", "--reason", "new", *options).sentence
    assert sorted(folder.iterdir()) == before


def test_save_needs_a_reason_and_a_tower_that_can_be_counted(vlbench: Vlbench, folder: Path) -> None:
    make_repository(folder)
    assert vlbench("baseline", "save", "x.json", "--tower", "towers:Tower").code == 2
    tower = "tests.towers.toys:raises"
    ended = vlbench("baseline", "save", "x.json", "--tower", tower, "--grid", "1x4x4", "--reason", "new")
    assert ended.code == 6
    assert f"{tower} on grid 1x4x4 cannot be counted: tower '{tower}': the factory raised RuntimeError" in ended.err
    assert not Path("x.json").exists()


def test_a_counter_that_a_file_does_not_hold_is_shown_as_none(vlbench: Vlbench, gated: Path) -> None:
    stored = json.loads(gated.read_text())
    del stored["counted"][0]["warm"]["counters"]["uploads"]
    gated.write_text(json.dumps(stored))
    ended = vlbench("baseline", "show", gated, "--csv", "shown.csv")
    assert ended.code == 0, ended
    rows = csv.DictReader(Path("shown.csv").read_text().splitlines())
    assert [row["uploads"] for row in rows][:2] == ["", "0"]


def test_show_says_what_is_held_who_took_it_and_whether_it_is_in_force(vlbench: Vlbench, gated: Path) -> None:
    write_baseline(read_baseline(gated).model_copy(update={"timed": (TIMED,)}).sealed(), gated)
    ended = vlbench("baseline", "show", gated)
    shown = " ".join(ended.out.split())
    assert ended.code == 0
    assert "toy: 4 cells" in shown
    assert "saved by Ada: it is new" in shown
    assert "not in force" not in shown
    assert "qwen2.5-vl-tiny best single-image float32: a change is called beyond 1.0 %" in shown
    names, lines = ("towers:Tower", "towers:Renamed", "towers:Crashing"), ended.out.splitlines()
    table = lines[lines.index("") + 1 : next(place for place, line in enumerate(lines) if "Counted:" in line)]
    assert max(len(line) for line in lines if line not in table) <= 80
    assert all(f"{name} " in ended.out for name in names), "a name is never broken"
    edit(trials=9)
    assert "not in force: was edited by hand since it was accepted" in vlbench("baseline", "show", gated).out


def test_show_says_where_the_commit_of_an_entry_was_left_behind(vlbench: Vlbench, gated: Path) -> None:
    for revision, told in ((head(), ")"), ("0" * 40, ", which is not in the history here)")):
        stored = read_baseline(gated)
        entry = stored.accepted[0].model_copy(update={"revision": revision, "dirty": False})
        write_baseline(stored.model_copy(update={"accepted": (entry,)}).sealed(), gated)
        shown = " ".join(vlbench("baseline", "show", gated).out.split())
        assert f"(torch {entry.torch}, at {revision[:9]}{told}" in shown


def test_list_has_a_row_for_each_file_and_its_state(vlbench: Vlbench, gated: Path) -> None:
    (gated.parent / "broken.json").write_text("{")
    write_baseline(read_baseline(gated), gated.with_name("toy.proposed.json"))
    listed = " ".join(vlbench("baseline", "list").out.split())
    assert "Ada in force, a proposal waits beside it" in listed
    assert "broken.json" in listed
    assert "not JSON" in listed
    assert vlbench("baseline", "list", "small.toml").code == 6
    broken, toy = vlbench("baseline", "list", "--json").json()
    assert (broken["cells"], broken["accepted"]) == (None, None)
    assert (toy["file"], toy["cells"], toy["accepted"]["by"]) == (str(gated), 3, "Ada")
    assert toy["state"].startswith("in force")


def test_a_baseline_can_be_had_as_json(vlbench: Vlbench, gated: Path) -> None:
    shown = vlbench("baseline", "show", gated, "--json").json()
    assert shown.pop("unfit") is None
    assert shown == json.loads(gated.read_text())
    made = vlbench(
        "baseline", "save", "x.json", "--tower", "towers:Tower", "--grid", "1x4x6", "--reason", "new", "--by", "Grace",
        "--json",
    ).json()  # fmt: skip
    assert (made["file"], made["cells"], made["accepted"]["reason"]) == ("x.json", 1, "new")


def test_an_edit_is_accepted_with_a_reason(vlbench: Vlbench, gated: Path) -> None:
    stored = load_baseline(gated)
    first = stored.counted[0].model_copy(update={"bands": {"allocations": 0.5}})
    write_baseline(stored.model_copy(update={"counted": (first, *stored.counted[1:])}), gated)
    assert vlbench("gate").code == 6
    ended = vlbench("baseline", "accept", gated, "--reason", "they vary", "--by", "Grace", "--json")
    assert ended.code == 0, ended
    assert (
        "towers:Tower small.toml bfloat16 sm_90: band of allocations none -> 50.0 %"
        in ended.json()["accepted"]["changes"]
    )
    assert read_baseline(gated).accepted[-1].by == "Grace"
    assert "nothing to accept" in vlbench("baseline", "accept", gated, "--reason", "again").sentence


def test_rebase_takes_what_another_torch_counts_and_nothing_else(vlbench: Vlbench, gated: Path) -> None:
    def rebase() -> str:
        ended = vlbench("baseline", "rebase", gated, "--reason", "torch 2.99")
        assert ended.code == 6
        assert ended.err.startswith(f"error: {gated}: ")
        return ended.err

    keep_one_tower()
    same = vlbench("baseline", "rebase", gated, "--reason", "torch 2.99").sentence
    assert "which is this one; there is nothing to rebase" in same
    age("2.0.0")
    accepted = head()

    write_towers(LAYER, SYNC)
    Path("new.py").touch()
    assert f"towers.py and new.py changed since {accepted[:9]}, where it was accepted" in rebase()
    Path("new.py").unlink()
    commit()
    assert f"(`git worktree add ../accepted {accepted[:9]}`) and rebase there" in rebase()
    git("checkout", "--quiet", accepted)

    edit(reordered=None)
    assert "the file was changed by hand" in rebase()
    git("checkout", "--quiet", ".")

    ended = vlbench("baseline", "rebase", gated, "--reason", "torch 2.99")
    assert ended.code == 0, ended
    assert "torch_version 2.0.0 -> " in ended.out
    made = read_baseline(gated)
    assert [each.what for each in made.accepted] == ["saved", "rebased"]
    assert made.accepted[-1].torch == made.fingerprint.torch
    assert made.counted[0].key.torch_version == made.fingerprint.torch.partition("+")[0]


def test_the_command_brings_several_over(vlbench: Vlbench, folder: Path) -> None:
    for name in ("tiny.json", "other.json"):
        copy(SCHEMA_1, folder / name)
    done = vlbench("baseline", "migrate", "tiny.json", "other.json")
    assert done.code == 0
    assert "tiny.json: 2 cells brought over" in done.out
    assert vlbench("baseline", "migrate", "tiny.json").out == "tiny.json: has today's format already\n"
