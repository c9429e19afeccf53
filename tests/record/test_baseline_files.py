"""Reading baseline files: one sentence, and the right exit code, for whatever is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.record.baselines import baseline, cell
from vlbench.errors import IncomparableError, UsageError
from vlbench.record.baseline_files import (
    find_baselines,
    load_baseline,
    proposal_path,
    read_baseline,
    why_unfit,
    write_baseline,
)


def edited(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.json"
    write_baseline(baseline(cell(), cell(tower="toy:Other")), path)
    return path


def test_what_is_written_is_read(file: Path) -> None:
    assert read_baseline(file) == baseline(cell(), cell(tower="toy:Other"))
    assert [path.name for path in file.parent.iterdir()] == ["toy.json"], "no draft is left"


def test_a_formatter_breaks_nothing(file: Path) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(content.items())), indent=4))
    assert read_baseline(file) == baseline(cell(), cell(tower="toy:Other"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 3}, "schema_version is 3, this vlbench reads 2; save the baseline again"),
        ({"trials": 7}, "was edited by hand since it was accepted: `vlbench baseline accept"),
        ({"seal": ""}, "nobody has accepted these figures yet: `vlbench baseline accept"),
        ({"accepted": []}, "nobody has accepted these figures yet"),
        ({"counted": []}, "has no cells, so nothing would be measured: save cells with"),
        ({"trials": 1}, "trials: Input should be greater than or equal to 4; the file was changed by hand"),
        ({"stray": 1}, "stray: Extra inputs are not permitted; the file was changed by hand"),
    ],
)
def test_an_altered_file_is_not_comparable(file: Path, change: dict[str, Any], words: str) -> None:
    edited(file, **change)
    with pytest.raises(IncomparableError) as error:
        read_baseline(file)
    assert str(error.value).startswith(f"{file}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON (line 1: "),
        ("[]", "not a baseline; give a file that `vlbench baseline save` wrote"),
        ('{"schema_version": 1, "groups": []}', "not a baseline"),
        ("\udcff", "cannot be read as text"),
    ],
)
def test_what_is_no_baseline_is_a_wrong_argument(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as error:
        load_baseline(path)
    assert error.value.exit_code == 2
    assert words in str(error.value)


def test_a_missing_file_is_not_comparable_and_a_folder_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(IncomparableError, match=r"`vlbench baseline save .*none.json --tower module:Name --reason"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(UsageError, match="a folder; give a baseline file in it") as error:
        read_baseline(tmp_path)
    assert error.value.exit_code == 2
    with pytest.raises(UsageError, match="cannot be written"):
        write_baseline(baseline(), tmp_path / "nowhere" / "x.json")


def test_an_edited_threshold_is_read_and_unfit(file: Path) -> None:
    content = json.loads(file.read_text())
    content["counted"][0]["bands"] = {"host_syncs": 0.5}
    edited(file, counted=content["counted"])
    assert why_unfit(load_baseline(file)) == "was edited by hand since it was accepted"


def test_a_folder_is_searched_for_baselines_and_not_for_proposals(file: Path) -> None:
    write_baseline(baseline(), proposal_path(file))
    assert find_baselines(file.parent) == [file]
    file.unlink()
    with pytest.raises(IncomparableError, match="holds no baseline; write the first with `vlbench gate init "):
        find_baselines(file.parent)
