"""`vlbench case` from its arguments to its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.workload.test_cases import OWN
from vlbench.judging.claims import CaseReport


def test_cases_are_listed(vlbench: Vlbench) -> None:
    said = vlbench("case", "list").out
    assert "vllm-agent-patch" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def test_a_case_is_shown_with_what_decides_it(vlbench: Vlbench) -> None:
    said = " ".join(vlbench("case", "show", "vllm-agent-patch").out.split())
    assert "times of rotation: rope-shared" in said
    assert "needs a GPU and a server" in said


def test_a_case_of_ones_own_is_run(vlbench: Vlbench, folder: Path) -> None:
    (folder / "own.toml").write_text(OWN)
    ended = vlbench("case", "run", "own.toml")
    assert ended.code == 0, ended.err
    assert "re-enacted: fewer operations\n  here: device operations: " in ended.out
    assert "+ argsort-inverse" in ended.out
    text = vlbench("case", "run", "own.toml", "--json").out
    report = json.loads(text)
    assert report["found"][0]["finding"] == "re-enacted"
    assert CaseReport.model_validate_json(text).with_checksum().checksum == report["checksum"] != ""
    small = report["counted"]["small"]
    assert small["faster"]["device_operations"] < small["baseline"]["device_operations"]


WRONG = {
    "flag": ('"argsort-inverse"', '"argsort-invers"', "argsort-invers"),
    "grid": ('"1x4x6"', '"4x6"', "'4x6' must be FRAMESxROWSxCOLUMNS"),
    "model": ("qwen2.5-vl-tiny", "qwen9", "there is no model 'qwen9'"),
    "seam": ("[[claim]]", "[[time]]\nname = 'x'\nseam = 'joy'\nsize = '1'\nwhy = ''\n[[claim]]", "'joy' is not one of"),
    "set": (
        "[[claim]]",
        "[[time]]\nname = 'x'\nscenario = 'video'\nsets = ['faster', 'joy']\nwhy = ''\n[[claim]]",
        "'joy'",
    ),
    "points": (
        "[[claim]]",
        "[[time]]\nname = 'x'\nscenario = 'square-images'\nsets = ['no-flags', 'faster']\nwhy = ''\n[[claim]]",
        "scenario square-images has 4 points; name one that has one",
    ),
    "size": ("[[claim]]", "[[time]]\nname = 'x'\nseam = 'rope'\nsize = '1'\nwhy = ''\n[[claim]]", "its size: '1'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_measured_is_told_before_anything_is(vlbench: Vlbench, folder: Path, kind: str) -> None:
    old, new, told = WRONG[kind]
    (folder / "own.toml").write_text(OWN.replace(old, new))
    ended = vlbench("case", "show", "own.toml")
    assert ended.code == 2
    assert "own.toml: " in ended.sentence
    assert told in ended.sentence


def test_a_case_that_is_not_there(vlbench: Vlbench) -> None:
    ended = vlbench("case", "run", "fast")
    assert ended.code == 2
    assert ended.err.startswith("error: there is no case 'fast'")


@pytest.mark.slow
def test_the_agents_patch_waits_more_often_than_what_it_patches(vlbench: Vlbench) -> None:
    report = json.loads(vlbench("case", "run", "vllm-agent-patch", "--json").out)
    waits = {name: tally["host_syncs"] for name, tally in report["counted"]["two pictures"].items()}
    assert waits == {"baseline": 5_444, "agent": 7_251}
    found = {each["says"]: each["finding"] for each in report["found"]}
    assert found["the patch as a whole makes the host wait more often than before, on its own two pictures"] == (
        "re-enacted"
    )
    assert "contradicts" not in found.values()
