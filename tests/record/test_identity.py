"""What no results file can say: a trial that is there twice, an edited figure, figures that contradict each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.record.records import CLOSE, group, results, timed, trial
from vlbench.errors import UsageError
from vlbench.record.files import read_results, why_unsealed, write_results
from vlbench.record.schema import Results, Timing

Edit = Callable[[dict[str, Any]], None]
TIMED = Timing(seconds=(0.01,) * 6, look_ups=(3, 1), hit_rate=0.75)


@pytest.fixture
def made() -> Results:
    own = {"accuracy": CLOSE, "stages": {"attention": 0.004}, "timings": {"warm": TIMED}}
    return results(group(*(trial(timed("rope-cache", 1.0, **own), number=number) for number in range(5)), planned=5))


def refusal(made: Results, edit: Edit, folder: Path) -> str:
    """What reading an edited file says."""
    path = folder / "a.json"
    write_results(made, path)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as caught:
        read_results(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def in_trial(content: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = content["groups"][0]["trials"][number]
    return found


def variant(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = in_trial(content)["variants"][1]
    return found


def copied(content: dict[str, Any]) -> None:
    content["groups"][0]["trials"] = [in_trial(content)] * 5


def copied_and_numbered(content: dict[str, Any]) -> None:
    content["groups"][0]["trials"] = [in_trial(content) | {"number": number} for number in range(5)]


def copied_under_new_ids(content: dict[str, Any]) -> None:
    renewed = [{"number": number, "id": f"job:0:{number}:{number}"} for number in range(5)]
    content["groups"][0]["trials"] = [in_trial(content) | each for each in renewed]


EDITS: dict[str, tuple[Edit, str]] = {
    "one trial five times": (copied, "trial 0 is there twice"),
    "and numbered": (copied_and_numbered, "is of another seed or number"),
    "and given ids": (copied_under_new_ids, "two trials hold the same times of 'baseline': one is a copy"),
    "a trial of another job": (lambda it: in_trial(it, 1).update(id="other:0:1:x"), "job of trial 1 is not that of"),
    "no digest of what was fed in": (lambda it: in_trial(it).update(fed_digest=""), "say by digests what it was fed"),
    "no digest of the weights": (lambda it: in_trial(it).update(weights_digest=""), "and with which weights"),
    "no order": (lambda it: in_trial(it).update(order={}), "in which order its warm readings were taken"),
    "a group twice": (lambda it: it["groups"].append(it["groups"][0]), "is there twice"),
    "a faster round": (lambda it: variant(it)["timings"]["warm"]["seconds"].__setitem__(0, 0.001), "edited or damaged"),
    "another command": (lambda it: it.update(command="vlbench run --quick"), "it was edited or damaged"),
    "no checksum": (lambda it: it.update(checksum=""), "it has no checksum"),
    "a trial without one": (lambda it: in_trial(it).pop("checksum"), "it has no checksum"),
    "an older schema": (lambda it: it.update(schema_version=2), "schema 2 has no checksum"),
    "a schema that is no number": (lambda it: it.update(schema_version=True), "schema_version is True"),
    "passed above its limit": (lambda it: variant(it)["accuracy"].update(fp32_error=0.9), "above its limit"),
    "a limit of 1e9": (lambda it: variant(it)["accuracy"].update(fp32_error=0.9, fp32_limit=1e9), "allows 1e-05"),
    "passed by NaN": (lambda it: variant(it)["accuracy"].update(fp32_error="NaN"), "above its limit"),
    "passed by nothing": (lambda it: variant(it)["accuracy"].update(fp32_error=None), "above its limit"),
    "failed without a reason": (lambda it: variant(it)["accuracy"].update(passed=False), "false with one"),
    "another class": (
        lambda it: variant(it)["accuracy"].update(exactness="result-changing", fp32_limit="Infinity"),
        "its row says reassociated",
    ),
    "a class that is none": (lambda it: variant(it)["accuracy"].update(exactness="close"), "the classes are"),
    "a timed error in float32": (
        lambda it: variant(it)["accuracy"].update(timed_error=0.1, timed_limit=0.2),
        "does not belong there",
    ),
    "a negative count": (lambda it: variant(it)["counts"].update(aten_operations=-1), "aten_operations"),
    "a count that is true": (lambda it: variant(it)["counts"].update(aten_operations=True), "aten_operations"),
    "a count in quotes": (lambda it: variant(it)["counts"].update(aten_operations="300"), "aten_operations"),
    "an infinite stage": (lambda it: variant(it)["stages"].update(attention=1e999), "Infinity is no number"),
    "a NaN stage": (lambda it: variant(it)["stages"].update(attention="NaN"), "attention"),
    "a negative stage": (lambda it: variant(it)["stages"].update(attention=-0.1), "attention"),
    "another hit rate": (lambda it: variant(it)["timings"]["warm"].update(hit_rate=0.9), "the look-ups give 0.75"),
    "another seed": (lambda it: it["groups"][0].update(seed=1), "of seed 0, and the group of 1"),
    "other pictures": (
        lambda it: in_trial(it, 1).update(fed_digest="ab"),
        "fed_digest of trial 1 is not that of trial 0",
    ),
    "other weights": (lambda it: in_trial(it, 1).update(weights_digest="ab"), "weights_digest of trial 1"),
    "fewer trials": (lambda it: it["groups"][0]["trials"].pop(), "has 4 of 5 trials"),
    "a variant twice": (
        lambda it: in_trial(it)["variants"].append(in_trial(it)["variants"][1]),
        "holds 'rope-cache' twice",
    ),
    "a row twice": (lambda it: it["groups"][0]["rows"].append(it["groups"][0]["rows"][1]), "is there twice"),
    "an unknown reference": (lambda it: it["groups"][0]["rows"][1].update(reference="x"), "no row of the group"),
    "a negative core": (lambda it: it["fingerprint"].update(cores=-2), "cores"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_file_is_refused_in_one_sentence(name: str, made: Results, tmp_path: Path) -> None:
    edit, told = EDITS[name]
    assert told in refusal(made, edit, tmp_path)


def test_an_interrupted_run_cannot_be_called_complete(tmp_path: Path) -> None:
    made = results(group(trial(timed("rope-cache", 1.0)), planned=5), complete=False)
    assert "has 1 of 5 trials" in refusal(made, lambda it: it.update(complete=True), tmp_path)


def test_the_limit_in_the_timed_dtype_follows_from_the_references_own_error(tmp_path: Path) -> None:
    accuracy = CLOSE.model_copy(update={"timed_error": 0.01, "timed_limit": 0.015, "own_error": 0.01})
    own = accuracy.model_copy(update={"exactness": "bit-exact", "fp32_error": 0.0, "fp32_limit": 0.0})
    sides = (timed("baseline", 1.0, accuracy=own), timed("rope-cache", 1.0, accuracy=accuracy))
    made = results(group(trial(variants=sides), dtype="bfloat16"))

    def loosened(content: dict[str, Any]) -> None:
        variant(content)["accuracy"] |= {"timed_error": 0.9, "timed_limit": 1e9}

    assert "the reference's own error 0.01 gives another" in refusal(made, loosened, tmp_path)


def test_a_key_twice_and_nan_are_no_json_of_ours(made: Results, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    text = made.model_dump_json()
    path.write_text(text.replace('"complete":true', '"complete":false,"complete":true'))
    with pytest.raises(UsageError, match="the key 'complete' is there twice"):
        read_results(path)
    path.write_text(text.replace('"memory_gb":16.0', '"memory_gb":NaN'))
    with pytest.raises(UsageError, match="NaN is no number of JSON"):
        read_results(path)


def test_a_file_of_before_checksums_says_so(tmp_path: Path) -> None:
    content = results(group(trial())).model_dump(mode="json", exclude={"checksum", "planned"})
    for each in content["groups"][0]["trials"]:
        del each["checksum"]
    (tmp_path / "older.json").write_text(json.dumps(content | {"schema_version": 2}))
    older = read_results(tmp_path / "older.json")
    assert why_unsealed(older) == "it has no checksum"
    assert why_unsealed(results(group(trial()))) == ""
