from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vlbench
from tests.record.records import CLOSE, YARDSTICK_SECONDS, died, failed, group, results, timed, trial
from vlbench.errors import UsageError
from vlbench.record.files import read_results, write_results

FULL = results(
    group(
        trial(timed("rope-cache", 0.5, accuracy=CLOSE), failed("window-sort"), died("host-grid")),
        trial(timed("rope-cache", 0.25, accuracy=CLOSE), failed("window-sort"), died("host-grid"), number=1),
    )
)


def refusal(path: Path) -> str:
    """The sentence that says what is wrong with the file: one line that names it."""
    with pytest.raises(UsageError) as caught:
        read_results(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(FULL.model_dump(mode="json") | fields))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    assert read_results(tmp_path / "a.json") == FULL
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_names_outside_of_ascii_survive(tmp_path: Path) -> None:
    named = results(group(scenario="écran-日本"))
    write_results(named, tmp_path / "a.json")
    assert read_results(tmp_path / "a.json") == named


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = tmp_path / "a.json"
    write_results(FULL, goal)
    before = goal.read_bytes()

    def full_disk(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_results(results(), goal)
    assert goal.read_bytes() == before


def test_missing(tmp_path: Path) -> None:
    assert "no such file; write one with `vlbench run --out" in refusal(tmp_path / "a.json")


def test_a_folder(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"name,seconds\n"])
def test_not_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert "not JSON" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"benchmarks": []}'])
def test_json_of_something_else(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert "has no schema_version" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize("version", [0, 99, "1"])
def test_another_schema(tmp_path: Path, version: object) -> None:
    assert f"schema_version is {version}" in refusal(changed(tmp_path / "a.json", schema_version=version))


def test_changed_by_hand(tmp_path: Path) -> None:
    content = FULL.model_dump(mode="json")
    content["groups"][0]["trials"][1]["variants"][2]["timings"] = {"warm": {"seconds": YARDSTICK_SECONDS}}
    sentence = refusal(changed(tmp_path / "a.json", groups=content["groups"]))
    assert "groups.0.trials.1.variants.2" in sentence
    assert "no passed accuracy check" in sentence
    assert "changed by hand" in sentence
    assert "command" in refusal(changed(tmp_path / "a.json", command=None))


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal(tmp_path / "file" / "a.json")


ROUNDS = len(YARDSTICK_SECONDS)


def test_load_gives_a_row_per_variant_trial_and_round(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    table = vlbench.load(tmp_path / "a.json")
    assert list(table.columns) == [
        *("scenario", "point", "model", "dtype", "device", "variant", "flags", "trial", "exactness", "passed"),
        *("fp32_error", "timed_error", "operations", "attention_calls", "state", "round", "seconds", "ratio"),
    ]
    assert table.groupby(["variant", "trial"], sort=False).size().to_dict() == {
        (name, number): rows
        for number in (0, 1)
        for name, rows in (("baseline", ROUNDS), ("rope-cache", ROUNDS), ("window-sort", 1), ("host-grid", 1))
    }
    assert table["seconds"].dtype == table["ratio"].dtype == table["fp32_error"].dtype == "float64"


def test_load_takes_the_ratio_to_the_yardstick_of_the_same_round(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    rows = vlbench.load(tmp_path / "a.json").dropna(subset="seconds")
    for (name, number), part in rows.groupby(["variant", "trial"]):
        factor = 1.0 if name == "baseline" else (0.5, 0.25)[number]
        assert list(part["round"]) == [*range(ROUNDS)]
        assert list(part["seconds"]) == [factor * one for one in YARDSTICK_SECONDS]
        assert list(part["ratio"]) == [factor] * ROUNDS
        assert set(part["state"]) == {"warm"}


def test_load_says_what_is_known_of_variants_without_times(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    table = vlbench.load(str(tmp_path / "a.json"))
    rows = table[table["trial"] == 0].set_index("variant")
    assert not rows.loc["window-sort", "passed"]
    assert rows.loc["window-sort", "fp32_error"] == 0.31
    assert rows[["seconds", "ratio", "round", "state", "passed", "operations"]].isna().loc["host-grid"].all()
    assert rows["flags"].isna().loc["baseline"].all()


def test_load_has_its_columns_even_without_groups(tmp_path: Path) -> None:
    write_results(results(), tmp_path / "a.json")
    assert "seconds" in vlbench.load(tmp_path / "a.json")


def test_load_has_the_same_dtypes_whatever_is_in_the_file(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "full.json")
    write_results(results(group(trial(timed("rope-cache", 0.5)))), tmp_path / "plain.json")
    full, plain = (vlbench.load(tmp_path / name).dtypes.to_dict() for name in ("full.json", "plain.json"))
    assert full == plain
