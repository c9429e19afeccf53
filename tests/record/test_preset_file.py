from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.record.records import FINGERPRINT
from vlbench.errors import UsageError
from vlbench.record.preset_file import Figure, PresetFile, preset_text, read_preset


def preset(**changes: Any) -> PresetFile:
    made: dict[str, Any] = {
        "flags": ("host-grid", "rope-cache"),
        "device": "cpu",
        "model": "qwen2.5-vl-tiny",
        "width": 160,
        "dtype": "float32",
        "scenario": "small",
        "grids": ((1, 4, 6), (1, 2, 2)),
        "by": 'measured on "one"\\two\n\u007fthree, \N{SNOWMAN}',
        "why": {"host-grid": "helps (time)", "rope-cache": "no effect (time)"},
        "figures": {
            "time of no-flags / time of the set": Figure(ratio=1.25, low=0.9, high=1.5, verdict="unclear", trials=2),
            "tiny": 1e-05,
        },
        "created": "2026-01-01T00:00:00+00:00",
        "fingerprint": FINGERPRINT,
    }
    return PresetFile(**made | changes).with_checksum()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for made in (preset(), preset(flags=(), why={}, figures={})):
        path.write_text(preset_text(made))
        assert read_preset(path) == made
        assert made.intact


def test_an_edited_file_is_read_and_known_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(preset_text(preset()).replace('"host-grid", ', "", 1))
    found = read_preset(path)
    assert found.flags == ("rope-cache",)
    assert not found.intact


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version: Input should be 1"),
        ("width = 160", 'width = "160"', "width: Input should be a valid integer"),
        ("width = 160", "width = 160\nwidht = 3", "widht: Extra inputs are not permitted"),
        ("width = 160", "width = -1", "width: Input should be greater than or equal to 0"),
        ('device = "cpu"', 'device = "tpu"', "device: Input should be 'cpu' or 'cuda'"),
        ("flags = ", "flag = ", "flags: Field required"),
        ("grids = [[1, 4, 6], [1, 2, 2]]", "grids = []", "grids: Tuple should have at least 1 item"),
        ('created = "2026-01-01T00:00:00+00:00"', "created = 2026-01-01", ""),
        ("width = 160", "width = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_field_and_remedy(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    path = tmp_path / "a.toml"
    text = preset_text(preset())
    assert before in text
    path.write_text(text.replace(before, after, 1))
    if not words:
        assert read_preset(path).created == "2026-01-01"
        return
    with pytest.raises(UsageError) as error:
        read_preset(path)
    told = str(error.value)
    assert told.startswith(f"{path}: {words}")
    assert told.endswith("write one with `vlbench recommend --out FILE.toml`")
    assert "\n" not in told


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.toml: no such file; write one with `vlbench recommend"):
        read_preset(tmp_path / "none.toml")


def test_another_device_width_or_size_is_told() -> None:
    made = preset()
    assert made.patches == 28
    assert made.differs("cpu", 160, 28) == made.differs("cpu", None) == made.differs("cpu", 160, 56) == []
    assert made.differs("cuda", 1280, 57) == ["cuda", "a tower of width 1,280", "57 patches"]
    assert made.differs("cpu", 160, 13) == ["13 patches"]
