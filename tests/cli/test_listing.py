from __future__ import annotations

import csv
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.conftest import Vlbench
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.implementations.peers import PEERS, Peer
from vlbench.readers import READERS
from vlbench.workload.library import scenarios_and_prompts

NAMES = {
    "models": ("model", list(MODELS)),
    "scenarios": ("scenario", scenarios_and_prompts()),
    "flags": ("flag", list(OPTIMIZATIONS)),
    "presets": ("preset", list(PRESETS)),
    "peers": ("peer", list(PEERS)),
    "formats": ("format", list(READERS)),
}


@pytest.mark.parametrize("what", NAMES)
def test_everything_is_listed(vlbench: Vlbench, what: str) -> None:
    heading, names = NAMES[what]
    ended = vlbench("list", what)
    assert ended.code == 0
    first, *rows = ended.out.splitlines()
    assert first.split()[0] == heading
    assert [row.split()[0] for row in rows if row[:1].strip()] == list(names)
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize("what", NAMES)
def test_everything_is_listed_as_json(vlbench: Vlbench, what: str) -> None:
    heading, names = NAMES[what]
    ended = vlbench("list", what, "--json")
    assert [row[heading] for row in ended.json()] == list(names)


def test_how_towers_are_named(vlbench: Vlbench) -> None:
    ended = vlbench("list", "towers")
    assert max(map(len, ended.out.splitlines())) <= 80
    rows = {row["tower"]: row["from"] for row in vlbench("list", "towers", "--json").json()}
    assert {"MODEL": "vlbench", "hf-eager:MODEL": "vlbench"}.items() <= rows.items()


def test_models(vlbench: Vlbench, snapshot: SnapshotAssertion) -> None:
    assert [line.rstrip() for line in vlbench("list", "models").out.splitlines()] == snapshot


def test_what_a_preset_leaves_out_by_device_is_not_hidden(vlbench: Vlbench) -> None:
    classic = next(row for row in vlbench("list", "presets", "--json").json() if row["preset"] == "classic")
    assert "pinned-h2d" in classic["flags on CUDA"]


def test_a_presets_flags_for_other_models_are_not_hidden(vlbench: Vlbench) -> None:
    rows = {row["preset"]: row["for"] for row in vlbench("list", "presets", "--json").json()}
    others = "on Qwen3-VL, Qwen3.5, Qwen3.8 also pos-embed-cache, on Qwen3-VL also deepstack-dict"
    assert rows["best"].endswith(f"; flags are those on Qwen2.5-VL, {others}")
    assert "Qwen2.5-VL" not in rows["classic"]


def test_a_peer_that_is_not_installed_says_what_brings_it(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own name: no index has a `vlbench[peers]`."""
    monkeypatch.setattr(Peer, "version", None)
    said = {row["installed"] for row in vlbench("list", "peers", "--json").json()}
    assert said == {"no: pip install transformers", "no: pip install flash-attn"}


def test_anything_else_is_refused(vlbench: Vlbench) -> None:
    ended = vlbench("list", "gpus")
    assert ended.code == 2
    assert "models" in ended.err
    assert "Traceback" not in ended.err


def test_what_cannot_be_listed_is_said_in_one_sentence(vlbench: Vlbench) -> None:
    assert vlbench("list", "nothing").sentence == (
        "what to list: 'nothing' is not one of models, scenarios, flags, presets, seams, peers, towers, formats; "
        "choose one of them"
    )


def test_nothing_to_list_is_one_sentence(vlbench: Vlbench) -> None:
    assert vlbench("list").sentence == (
        "list: name one of models, scenarios, flags, presets, seams, peers, towers, formats"
    )


def test_a_flag_is_one_line(vlbench: Vlbench, snapshot: SnapshotAssertion) -> None:
    """Whatever flags there are: those of the first lines are the oldest."""
    ended = vlbench("list", "flags")
    lines = ended.out.splitlines()
    assert len(lines) == len(OPTIMIZATIONS) + 1 < 100
    assert [
        line for line in lines if line.split()[0] in ("flag", "host-grid", "window-sort", "host-seqlens")
    ] == snapshot
    assert ended.err == "Each with its counters, its needs and its code: vlbench explain FLAG\n"


def test_a_flag_says_where_it_belongs(vlbench: Vlbench) -> None:
    places = {row["flag"]: row["place"] for row in vlbench("list", "flags", "--json").json()}
    named = {"compile": "named", "graph-exact": "named", "rope-lowp": "named", "pinned-h2d": "CUDA", "varlen": "CUDA"}
    assert places.items() >= {**named, "evs": "alone", "text-only": "alone", "rope-cache": "tower"}.items()


def test_wide_and_files_have_every_column(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench("list", "flags", "--wide", "--csv", "flags.csv")
    assert "…" not in ended.out
    lines = ended.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["flag", *OPTIMIZATIONS]
    told = [line.strip() for line in lines[lines.index("rope-cache") + 1 :]]
    assert told[0].startswith("class: ")
    assert any(line.startswith("counted at 7B: ") for line in told)
    assert max(map(len, lines)) <= 80
    rows = list(csv.DictReader((folder / "flags.csv").read_text().splitlines()))
    assert [row["flag"] for row in rows] == list(OPTIMIZATIONS)
    assert rows[0].keys() >= {"class", "removes", "counted at 7B", "requires"}


def test_what_is_nearly_a_kind_is_told(vlbench: Vlbench) -> None:
    assert vlbench("list", "Flag").sentence.endswith("towers, formats; did you mean flags?")


def test_names_of_presets_are_whole_and_can_be_copied(vlbench: Vlbench) -> None:
    lines = vlbench("list", "presets").out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["preset", *PRESETS]
    told = {word.strip(",") for line in lines for word in line.split()}
    assert told >= {flag for preset in PRESETS.values() for flag in preset.usual("cpu")}


def test_a_kind_is_taken_in_any_case(vlbench: Vlbench) -> None:
    assert vlbench("list", "FORMATS").out == vlbench("list", "formats").out
