"""Published cases are sound files, and one that is not is told by its file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.towers.variants import parse_variant
from vlbench.workload.cases import load_case
from vlbench.workload.library import case_names, load_scenario
from vlbench.workload.seams import find_seam_case

OWN = """
title = "Mine"
source = "this test"
about = "Nothing."

[sets]
faster = ["rope-shared", "argsort-inverse", "host-seqlens"]

[[count]]
name = "small"
about = "a small picture"
model = "qwen2.5-vl-tiny"
grid = ["1x4x6"]
sets = ["baseline", "faster"]
in_order = "faster"

[[claim]]
says = "fewer operations"
counted = { at = "small", of = "faster", against = "baseline", expect = "falls" }
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("name", case_names())
def test_every_set_and_place_of_a_shipped_case_exists(name: str) -> None:
    case = load_case(name)
    for counting in case.count:
        for variant in case.steps(counting).values():
            assert not parse_variant(variant, MODELS[counting.model], "cuda").left_out
    for timing in case.time:
        if timing.scenario:
            assert load_scenario(timing.scenario)
            continue
        seam = find_seam_case(timing.seam)
        assert timing.size in seam.sizes
        rows = {each.timed.of for each in case.claim if each.timed and each.timed.at == timing.name}
        assert rows <= {flag for one in seam.seams for flag in one.flags}


def test_the_four_published_cases_are_there() -> None:
    known = {"vllm-agent-patch", "vllm-encoder-metadata", "sglang-fast-rope", "trtllm-vision-host"}
    assert known <= {*case_names()}


def test_a_set_in_order_grows_by_a_flag(own: Path) -> None:
    case = load_case(str(own))
    assert case.steps(case.count[0]) == {
        "baseline": "baseline",
        "faster": "rope-shared+argsort-inverse+host-seqlens",
        "+ rope-shared": "rope-shared",
        "+ argsort-inverse": "rope-shared+argsort-inverse",
    }


def test_a_set_in_order_goes_on_from_the_set_that_it_begins_with(own: Path) -> None:
    before = '[sets]\nbefore = ["rope-shared"]'
    own.write_text(OWN.replace("[sets]", before).replace('["baseline", "faster"]', '["baseline", "before", "faster"]'))
    case = load_case(str(own))
    assert list(case.steps(case.count[0])) == ["baseline", "before", "+ argsort-inverse", "faster"]


def test_a_flag_in_order_brings_what_it_needs(own: Path) -> None:
    own.write_text(OWN.replace('"rope-shared", "argsort', '"batched-windows", "argsort'))
    case = load_case(str(own))
    assert case.steps(case.count[0])["+ batched-windows"] == "batched-windows+host-seqlens"


WRONG = {
    "at = 'small'": ('at = "small"', 'at = "big"', "no [[count]] 'big' has the sets faster and baseline"),
    "two deciders": ("counted = {", 'needs = "a GPU"\ncounted = {', "one of counted, timed and needs"),
    "no decider": ("counted = {", "# {", "one of counted, timed and needs"),
    "counter": ('against = "baseline",', 'against = "baseline", counter = "joy",', "counter 'joy' is none of"),
    "share": ('expect = "falls"', 'expect = "stays", least = 0.1', "least and most are about what falls or rises"),
    "both": ('expect = "falls"', 'expect = "falls", operation = "cos", stage = "plan"', "over the whole forward"),
    "itself": ('of = "faster", against', 'of = "baseline", against', "baseline is held against itself"),
    "twice": ("[[claim]]", "[[count]]\nname = 'small'\nabout = ''\ngrid = []\nsets = []\n[[claim]]", "two [[count]]"),
    "foreign": ('sets = ["baseline", "faster"]', 'sets = ["baseline", "faster", "mine:T"]', "mine:T is no flag"),
    "most": ('expect = "falls"', 'expect = "falls", most = -1.0', "counted.most"),
    "number": ('expect = "falls"', 'expect = "is"', "exactly and expect = 'is' go together"),
    "field": ("in_order", "in_ordr", "count[0].in_ordr is not a field; did you mean 'in_order'?"),
    "timing": ("counted = {", "timed = { at = 'x', of = 'y', expect = 'faster' } # {", "there is no [[time]] 'x'"),
    "half a timing": (
        "[[claim]]",
        "[[time]]\nname = 'x'\nwhy = ''\nseam = 'rope'\n[[claim]]",
        "a seam and its size, or a",
    ),
    "both timings": (
        "[[claim]]",
        "[[time]]\nname = 'x'\nwhy = ''\nseam = 'rope'\nsize = '1'\nscenario = 'video'\n[[claim]]",
        "a seam and its size, or a scenario and two sets or more",
    ),
    "least": ("counted = {", "timed = { at = 'x', of = 'y', expect = 'no change', least = 0.1 } # {", "what is faster"),
    "first set": (
        "counted = {",
        "timed = { at = 'x', of = 'no-flags', expect = 'faster' }\n[[time]]\nname = 'x'\nwhy = ''\nscenario = 'video'\n"
        "sets = ['no-flags', 'faster'] # {",
        "[[time]] 'x' does not have no-flags against no-flags",
    ),
    "half a claim": (', expect = "falls"', "", "claim[0].counted.expect is missing; add it"),
    "TOML": ('title = "Mine"', 'title = "Mine', "is not TOML"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_told_in_one_sentence(own: Path, kind: str) -> None:
    old, new, told = WRONG[kind]
    own.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError) as raised:
        load_case(str(own))
    assert str(own) in str(raised.value)
    assert told in str(raised.value)


def test_a_case_that_is_not_there_has_its_neighbour_named() -> None:
    with pytest.raises(UsageError, match=r"no case 'vllm-agent' \(did you mean vllm-agent-patch\?\)"):
        load_case("vllm-agent")
