"""Files of schema 1: results are read, sealed baselines are brought over."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tests.record.records import CLOSE, group, results, timed, trial
from vlbench.errors import IncomparableError, UsageError
from vlbench.record.baseline_files import read_baseline
from vlbench.record.files import read_results, write_results
from vlbench.record.migration import migrate

SEALED = Path(__file__).parent / "schema_1" / "baseline.json"
"""Written and sealed by the last version of schema 1."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(copy(SEALED, tmp_path / "tiny.json"))


def edited(file: Path, **fields: Any) -> Path:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return file


def test_a_sealed_baseline_is_brought_over_with_every_figure_and_who_accepted_it(file: Path) -> None:
    before = json.loads(file.read_text())
    with pytest.raises(IncomparableError, match=r"bring it over with `vlbench baseline migrate .*tiny\.json`"):
        read_baseline(file)
    made, was_needed = migrate(file)
    assert was_needed
    assert migrate(file) == (made, False)
    after = json.loads(file.read_text())
    assert read_baseline(file) == made
    assert after["accepted"] == before["accepted"]
    assert after["timed"][0]["counts"]["aten_operations"] == before["timed"][0]["counts"]["operations"]
    for forward in ("cold", "warm"):
        old, new = (each["counted"][0][forward] for each in (before, after))
        assert new == {key: value for key, value in old.items() if key != "lines"} | {"sites": old["lines"]}


def test_one_that_was_edited_by_hand_is_not_brought_over(file: Path) -> None:
    counted = json.loads(file.read_text())["counted"]
    counted[0]["warm"]["counters"]["host_syncs"] += 1
    text = edited(file, counted=counted).read_text()
    with pytest.raises(IncomparableError, match="was edited by hand since it was accepted"):
        migrate(file)
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"schema_version": 3}, UsageError, "schema_version is 3, and 1 is what can be brought over"),
        ({"schema_version": None}, UsageError, "schema_version is None"),
        ({"kind": "results"}, UsageError, "not a baseline"),
        ({"counted": 7}, IncomparableError, "counted: "),
        ({"counted": [{"warm": 3}]}, IncomparableError, r"counted\.0"),
        ({"timed": [{"counts": []}]}, IncomparableError, r"timed\.0"),
    ],
)
def test_what_cannot_be_brought_over_is_refused(
    file: Path, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        migrate(edited(file, **fields))


def test_results_of_schema_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    written = results(group(trial(timed("rope-cache", 0.5, accuracy=CLOSE))))
    write_results(written, path)
    older = (
        path.read_text()
        .replace('"aten_operations"', '"operations"')
        .replace('"schema_version": 2', '"schema_version": 1')
    )
    assert older != path.read_text()
    path.write_text(older)
    assert read_results(path) == written
