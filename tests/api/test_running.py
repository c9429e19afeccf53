from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import vlbench
from tests.trial.plans import work_in
from vlbench.api.running import _notes, fed_to
from vlbench.matrix.targets import model_target
from vlbench.record.files import read_results


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a tiny scenario and a tower."""
    work_in(tmp_path, monkeypatch)
    (tmp_path / "pyproject.toml").write_text('[tool.vlbench]\nscenario = "small.toml"\n')
    return tmp_path


def test_a_run_gives_typed_results_a_table_and_a_file(folder: Path) -> None:
    told: list[str] = []
    found = vlbench.run(
        variant=["host-grid", "exact"], device="cpu", budget=1, card=False, out="a.json", progress=told.append
    )
    assert found.record == read_results(folder / "a.json")
    assert found.exit_code == 0
    assert [row.name for row in found.record.groups[0].rows] == ["baseline", "host-grid", "exact"]
    assert found.record.groups[0].scenario == "small"  # [tool.vlbench]'s
    command = "vlbench.run(variant=['host-grid', 'exact'], device='cpu', card=False, out='a.json', budget=1)"
    assert set(found.record.command) == set(command)
    table = found.table()
    assert list(table["variant"]) == ["baseline", "host-grid", "exact"]
    assert table["passed"].all()
    assert (table["seconds"] > 0).all()
    assert list(table["ratio"].notna()) == [False, True, True]
    assert list(table["speed_up"] * table["ratio"])[1:] == pytest.approx([1, 1])
    assert any("accuracy" in line for line in told)
    assert any("pinned-h2d" in note for note in found.notes)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "pyproject.toml", "small.toml"]


@pytest.mark.slow
def test_a_run_held_against_results_says_of_times_what_diff_says_of_both_files(folder: Path) -> None:
    """Of one process each: no verdict, and nothing that sounds like one."""
    chosen = {"variant": ["host-grid", "exact"], "device": "cpu", "budget": 2, "card": False, "progress": False}
    vlbench.run(**chosen, out="a.json")  # type: ignore[arg-type]
    verdicts = vlbench.run(**chosen, out="b.json", against="a.json").verdicts  # type: ignore[arg-type]
    assert verdicts is not None
    assert verdicts.record.rows == vlbench.compare("a.json", "b.json").record.rows
    times = [row for row in verdicts.record.rows if row.measure == "time"]
    assert [row.verdict for row in times] == ["inconclusive", "inconclusive"]
    assert all("a verdict needs" in row.reason for row in times)


def test_nothing_is_written_where_no_file_is_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.iterdir())
    found = vlbench.run(seam="merge", only="point=n=256", device="cpu", budget=1, card=False)
    assert found.record.groups[0].rows[0].name == "naive"
    assert found.path is None
    assert sorted(folder.iterdir()) == before
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line.endswith(" s so far)") for line in err.splitlines())  # of a run over a second


def test_towers_by_name_and_as_objects_in_a_script_are_refused(folder: Path) -> None:
    with pytest.raises(vlbench.UsageError, match=r"write it into a module beside it, such as my_tower.py, and name"):
        vlbench.run(tower=["__main__:Vision", "qwen2.5-vl-tiny"], device="cpu")
    with pytest.raises(vlbench.UsageError, match="resume goes on from the journal beside out; name that file"):
        vlbench.run(device="cpu", variant="host-grid", resume=True)


def test_verify_gives_a_row_per_variant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlbench.api.running.BATCHES", ("smallest", "mixed"))  # all of them are for the command line
    found = vlbench.verify(variant="host-grid", device="cpu")
    assert found.exit_code == 0
    table = found.table().set_index("variant")
    assert table.loc["host-grid", "passed"]
    assert table.loc["host-grid", "fp32_error"] == 0
    assert "2 batches" in found.title


def test_profile_gives_a_row_per_stage(folder: Path) -> None:
    found = vlbench.profile(variant="baseline", device="cpu", forwards=2)
    table = found.table().set_index("stage")
    assert table["aten_operations"].sum() > 100
    assert (table["own_seconds"] > 0).all()
    assert "2 images" in found._repr_html_() or "images" in found.title


def test_a_checkpoint_without_its_config_is_told_to_be_unchecked(tmp_path: Path) -> None:
    target = model_target("qwen2.5-vl-tiny", "cpu", None, ["host-grid"])
    (note,) = _notes([("small", [], target)], tmp_path)
    assert note.startswith(f"{tmp_path} has no config.json: whether its heads, windows and patches are those of qwen")
    (tmp_path / "config.json").write_text("{}")
    assert _notes([("small", [], target)], tmp_path) == ()


def test_pictures_take_the_place_of_a_scenario_unless_its_sizes_are_wanted(folder: Path) -> None:
    Image.new("RGB", (84, 56)).save("a.png")
    targets = [model_target(None, "cpu", None, ["host-grid"])]
    ((name, (point,), _),) = fed_to(targets, None, [Path("a.png")], False)
    assert (name, point.item[0].size, point.why_scaled) == ("images", "56x84", None)  # type: ignore[union-attr]
    assert [name for name, *_ in fed_to(targets, None, [Path("a.png")], True)] == ["small"]
    for given, words in (
        ({"images": "a.png", "scenario": "video"}, "leave one of them out, or add scenario"),
        ({"scenario_sizes": True}, "is about images; name them, or leave it out"),
        ({"images": "none.png"}, "none.png does not exist"),
    ):
        with pytest.raises(vlbench.UsageError, match=words):
            vlbench.run(device="cpu", **given)  # type: ignore[arg-type]
