from __future__ import annotations

from pathlib import Path

import pytest

from tests.record.test_preset_file import preset
from vlbench.errors import UsageError
from vlbench.implementations import optimized
from vlbench.implementations.config import MODELS
from vlbench.record.preset_file import preset_text
from vlbench.towers.preset_files import made_otherwise, spelled_out
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.variants import parse_variant

CONFIG = MODELS["qwen2.5-vl-tiny"]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("mine.toml")
    path.write_text(preset_text(preset(flags=("host-grid", "pinned-h2d"))))
    return path


def test_a_preset_file_is_a_preset_wherever_one_is_named(written: Path) -> None:
    row = parse_variant("mine.toml+rope-cache", CONFIG, "cpu")
    assert row.flags == ("host-grid", "rope-cache")
    assert list(row.left_out) == ["pinned-h2d"]  # as of any preset: it means nothing on a CPU
    assert parse_variant("mine.toml", CONFIG, "cuda").flags == ("host-grid", "pinned-h2d")
    assert resolve_tower("qwen2.5-vl-tiny+mine.toml").name == "qwen2.5-vl-tiny+mine.toml"


def test_for_who_cannot_read_it_its_flags_stand_in_its_place(written: Path) -> None:
    assert spelled_out("qwen2.5-vl-tiny+mine.toml+best", optimized) == "qwen2.5-vl-tiny+host-grid+pinned-h2d+best"
    assert spelled_out("qwen2.5-vl-tiny", optimized) == "qwen2.5-vl-tiny"
    written.write_text(preset_text(preset(flags=())))
    assert spelled_out("qwen2.5-vl-tiny+mine.toml", optimized) == "qwen2.5-vl-tiny+no-flags"
    assert parse_variant("mine.toml", CONFIG, "cpu").flags == ()


def test_a_flag_that_there_is_not_is_told_with_file_field_and_remedy(written: Path) -> None:
    written.write_text(preset_text(preset(flags=("rope-cash",))))
    told = r"mine.toml: flags: there is no flag 'rope-cash'; did you mean rope-cache\?; mend it, or write one with"
    for call in (lambda: parse_variant("mine.toml", CONFIG, "cpu"), lambda: resolve_tower("qwen2.5-vl-tiny+mine.toml")):
        with pytest.raises(UsageError, match=told):
            call()


def test_flags_that_exclude_each_other_are_refused(written: Path) -> None:
    written.write_text(preset_text(preset(flags=("argsort-inverse", "host-inverse"))))
    with pytest.raises(UsageError, match="two ways of one seam"):
        parse_variant("mine.toml", CONFIG, "cpu")


def test_a_file_for_another_device_or_size_is_named(written: Path) -> None:
    assert list(made_otherwise(["mine.toml+best", "best"], "cpu", 160, 30)) == []
    (note,) = made_otherwise(["qwen2.5-vl-7b+mine.toml", "mine.toml"], "cuda", 1280)
    assert note.startswith("mine.toml was chosen for cpu, qwen2.5-vl-tiny (width 160), small, 28 patches, and here it")
    assert "here it is cuda and a tower of width 1,280: nothing says that it is best here" in note
    written.write_text(written.read_text().replace('"pinned-h2d"', '"rope-cache"', 1))
    assert list(made_otherwise(["mine.toml"], "cpu")) == [
        "mine.toml was edited since it was written: its figures may be those of other flags."
    ]
