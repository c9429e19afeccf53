from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from importlib import import_module
from typing import get_args

import pytest

from tests.cli.conftest import Vlbench
from tests.house import ROOT
from vlbench.api.names import names
from vlbench.cli.listing import ROWS, rows_of
from vlbench.export.flags import SHOWN
from vlbench.export.result_tables import STAGES
from vlbench.export.wording import DETECTABLE, OUTCOMES
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness
from vlbench.judging.claims import Finding
from vlbench.judging.verdict import Verdict
from vlbench.record.counts import Tally
from vlbench.record.schema import State
from vlbench.workload.prompts import PROMPTS

explain = import_module("vlbench.cli.explain")
words, complete = explain.words, explain.complete
KINDS = {"models": "model", "scenarios": "scenario", "presets": "preset", "seams": "seam", "peers": "peer"}


@pytest.mark.parametrize("flag", OPTIMIZATIONS)
def test_every_flag_is_explained_with_code_that_parses(vlbench: Vlbench, flag: str) -> None:
    ended = vlbench("explain", flag, "--json")
    assert ended.code == 0
    facts, known = ended.json(), OPTIMIZATIONS[flag]
    assert (facts["flag"], facts["removes"], facts["class"]) == (flag, known.removes, str(known.exactness))
    assert facts["source"]
    for code, way in ((facts["naive"], known.seam.naive_way), (facts["optimized"], known.way)):
        (definition,) = ast.parse(textwrap.dedent(code)).body
        assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
        assert definition.name == way.__name__
        assert definition.decorator_list == []


def test_both_pieces_of_code_are_shown(vlbench: Vlbench) -> None:
    out = vlbench("explain", "batched-windows").out
    for part in (
        "batched-windows",
        "host-seqlens",
        "sdpa-prealloc",
        "class SegmentList",
        "class EqualSegmentsTogether",
    ):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80


def test_on_a_wide_terminal_they_stand_side_by_side(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = vlbench("explain", "batched-windows").out
    line = next(line for line in out.splitlines() if "class SegmentList" in line)
    assert "class EqualSegmentsTogether" in line


def test_an_unknown_flag_is_refused(vlbench: Vlbench) -> None:
    assert vlbench("explain", "rope-cahce").sentence == "there is no flag 'rope-cahce'; did you mean rope-cache?"


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_listed_is_explained(vlbench: Vlbench, kind: str) -> None:
    (listed, *_) = vlbench("list", kind, "--json").json()
    found = vlbench("explain", listed[KINDS[kind]], "--json").json()
    assert found.items() >= listed.items()


def test_detectable_is_explained_as_below_the_tables() -> None:
    assert words()["detectable"].startswith(f"The {DETECTABLE};")


def test_every_counter_is_explained() -> None:
    assert Tally.model_fields.keys() <= words().keys()


@pytest.mark.parametrize(
    "word", ["yardstick", "reference", "seam", "churn", "peer", "card", "point", "sees", "foretold", "host_syncs"]
)
def test_words_are_explained_in_80_columns(vlbench: Vlbench, word: str) -> None:
    ended = vlbench("explain", word)
    assert ended.code == 0
    assert words()[word].split()[0] in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_no_word_hides_a_flag() -> None:
    assert not set(names("flags")) & words().keys()


def test_what_nothing_is_called_is_refused(vlbench: Vlbench) -> None:
    assert vlbench("explain", "churm").sentence == "nothing is called 'churm'; did you mean churn?"
    assert vlbench("explain", "xyzzy").sentence.startswith("nothing is called 'xyzzy'; `vlbench list` has")


@pytest.mark.parametrize(
    ("typed", "known"),
    [("SYNCS", "The program stops until"), ("Best", "preset best"), ("sm_90", "H100"), ("sdpa", "scaled dot-product")],
)
def test_words_of_any_case_and_gpus_are_explained(vlbench: Vlbench, typed: str, known: str) -> None:
    ended = vlbench("explain", typed)
    assert ended.code == 0
    assert known in " ".join(ended.out.split())


def test_without_a_word_all_that_can_be_explained_is_named(vlbench: Vlbench) -> None:
    out = vlbench("explain").out
    for name in ("rope-cache", "best", "sm_90", "churn", "qwen2.5-vl-7b"):
        assert name in out
    assert "host sync" in vlbench("explain", "--json").json()["words"]


def test_best_says_on_what_it_was_timed_and_why_it_lacks_what_it_lacks(vlbench: Vlbench) -> None:
    out = " ".join(vlbench("explain", "best").out.split())
    assert "on CUDA timed as a whole on an NVIDIA H200 alone" in out
    assert "window-ladder: without cuDNN there are no plans to save" in out


def test_a_flag_names_those_it_is_measured_with(vlbench: Vlbench) -> None:
    assert vlbench("explain", "mlp-pad", "--json").json()["measured with"] == ["fused-gate-up"]


def test_prompts_are_explained_and_completed(vlbench: Vlbench) -> None:
    out = vlbench("explain", "prompt-image").out
    for part in ("One request with a 512x512 picture", "mrope"):
        assert part in out
    assert "preparation" not in out
    assert complete("prompt-") == list(PROMPTS)


@pytest.mark.parametrize(
    ("flag", "counted"),
    [
        ("mrope-numpy", "no counter moves (one call of the seam mrope)"),
        ("text-only", "no counter moves (one call of the seam preparation)"),
        ("merge-masked-scatter", "operations -1, waits -1 (one call of the seam merge)"),
    ],
)
def test_a_flag_outside_of_the_tower_is_counted_in_its_seam(vlbench: Vlbench, flag: str, counted: str) -> None:
    assert vlbench("explain", flag, "--json").json()["counted"] == counted


def test_of_two_scenarios_the_counts_are_told_without_a_stray_comma(vlbench: Vlbench) -> None:
    assert "single-image / multi-image" in vlbench("explain", "rope-cache", "--json").json()["counted"]


def test_a_flag_that_changes_results_says_by_how_much_stage_by_stage(vlbench: Vlbench) -> None:
    found = vlbench("explain", "fp8-linear", "--json").json()
    told = found["error in bfloat16"]
    assert found["error of"].startswith("qwen2-vl-tiny, not of a released model: random weights, one image of 1x16x16")
    assert "in brackets the reference tower's own" in found["error of"]
    assert [each.split()[0] for each in told[:3]] == ["patch_embed", "block[0].attention", "block[0].mlp"]
    assert told[-1].startswith("merger 0.")
    assert "error in bfloat16" not in vlbench("explain", "rope-packed", "--json").json()
    assert "no rule for what a compiled call asks" in " ".join(vlbench("explain", "flex").out.split())


def test_no_word_has_two_meanings() -> None:
    named = [name for names in explain.meanings_by_names() for name in names.split(", ")]
    assert sorted(named) == sorted(set(named))


def headings() -> Iterator[str]:
    """Every heading in the source of what prints tables: of a column by itself, or by its place in a dictionary."""
    for path in [*sorted((ROOT / "vlbench/export").glob("*.py")), ROOT / "vlbench/cli/listing.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Column"), args=[ast.Constant(value=str(text)), *_]):
                    yield text
                case (
                    ast.Assign(targets=[ast.Name(id="columns")], value=ast.Dict(keys=keys))
                    | ast.AugAssign(target=ast.Name(id="columns"), value=ast.Dict(keys=keys))
                ):
                    yield from (key.value for key in keys if isinstance(key, ast.Constant))
                case ast.AnnAssign(annotation=ast.Subscript(value=ast.Name(id="Columns")), value=ast.Dict(keys=keys)):
                    yield from (key.value for key in keys if isinstance(key, ast.Constant))
                case ast.Assign(targets=[ast.Name(id="columns")], value=ast.List(elts=each)):
                    yield from (one.value for one in each if isinstance(one, ast.Constant))


TABLES = sorted(
    {
        *filter(None, (each.replace("-\n", "").replace("\n", " ").strip() for each in headings())),
        *(heading for kind in ROWS for heading in rows_of(kind)[0]),
        *STAGES,
        *map(str, (*Verdict, *Exactness, *Finding)),
        *get_args(State),
        *OUTCOMES.values(),
        *SHOWN.values(),
    }
    - {"where", "called_from", "passed"}  # for programs alone
)
SAID = (
    *("plan", "plans", "plan=device", "plan=host", "quick look", "aten ops", "unconfirmed", "small calls", "calibrate"),
    *("only where named", "error in bfloat16", "error of", "counted on", "note", "simulate", "case"),
)


@pytest.mark.parametrize("word", [*TABLES, *SAID])
def test_what_a_table_prints_is_explained(word: str) -> None:
    assert explain.spelled(word) in words(), word


def test_what_is_passed_over_stands_a_line_each(vlbench: Vlbench) -> None:
    lines = [line.strip() for line in vlbench("explain", "best").out.splitlines()]
    for told in ("mlp-pad: not timed yet", "rope-freq-table: rope-cache keeps more"):
        assert any(line.endswith(told) for line in lines), lines


def test_what_a_flag_does_to_plans_stands_in_a_line(vlbench: Vlbench) -> None:
    out = " ".join(vlbench("explain", "sdpa-flash").out.split())
    assert "plans that cuDNN builds on the host in eight calls on changing grids: -16 on single-image, -68 on" in out
    assert "single-image / multi-image" not in out
    assert (
        vlbench("explain", "window-sort", "--json").json()["changes"][-1] == "(beside batched-windows and host-seqlens)"
    )
    assert vlbench("explain", "window-cache", "--json").json()["changes"] == ["host time only"]


def test_a_flag_says_on_which_model_it_was_counted(vlbench: Vlbench) -> None:
    out = " ".join(vlbench("explain", "pos-embed-vectorized").out.split())
    assert "operations -17 on single-image, -206 on multi-image" in out
    assert "second forward of qwen3-vl-8b, bfloat16, as sm_90, on single-image and multi-image" in out


@pytest.mark.parametrize(
    ("flag", "size"),
    [
        ("evs", "pruning on prompt-video"),
        ("uint8-pixels", "pixels on n=784"),
        ("text-only", "preparation on prompt-text"),
    ],
)
def test_a_flag_outside_of_the_tower_says_on_what_it_was_counted(vlbench: Vlbench, flag: str, size: str) -> None:
    on = vlbench("explain", flag, "--json").json()["counted on"]
    assert on == f"one call of the seam {size}, with the sizes of qwen2.5-vl-7b, bfloat16, as sm_90"
    assert on in " ".join(vlbench("explain", flag).out.split())


def test_of_what_is_not_counted_no_forward_is_told(vlbench: Vlbench) -> None:
    facts, out = vlbench("explain", "compile", "--json").json(), vlbench("explain", "compile").out
    assert facts["counted"] == "not counted: what is compiled cannot be looked into"
    assert facts["counted on"] == ""
    assert "second forward" not in out


@pytest.mark.parametrize(
    ("flag", "known"),
    [
        ("graph-exact", "a tower that is counted replays nothing"),
        ("graph-budget", "fewer operations are those of attention, one varlen call a layer"),
        ("rope-triton", "right on one GPU, an H200"),
        ("fp16-clamp", "counts are of bfloat16, where nothing moves"),
    ],
)
def test_what_has_to_be_known_of_counts_is_told(vlbench: Vlbench, flag: str, known: str) -> None:
    out = " ".join(vlbench("explain", flag).out.split())
    assert out.count(known) == 1
    assert "host time only" not in out


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("band", "In `predict`"),
        ("cold", "first forward"),
        ("by", "In `recommend`"),
        ("allowed", "allow_sync"),
        ("votes", "how many of the trials"),
        ("refuted", "Of a key"),
        ("lock-step", "In `ab`"),
        ("free-running", "add up"),
        ("either", "bound by"),
        ("not predicted", "tables lack"),
        ("not counted", "not a count of nothing"),
        ("simulated", "never measured"),
        ("break-even", "replays"),
        ("bound", "host-bound"),
    ],
)
def test_words_of_the_screens_are_told_as_they_are_meant_there(word: str, told: str) -> None:
    assert told in words()[word]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("peers", "peer"), ("readback", "read-back"), ("Read_Backs", "read-backs"), ("shared round", "shared rounds")],
)
def test_number_and_hyphens_make_no_other_word(given: str, meant: str) -> None:
    assert words()[explain.spelled(given)] == words()[meant]


@pytest.mark.parametrize(
    "word",
    [
        *("shared rounds", "step", "h200", "patch", "tokens", "windows", "RoPE", "M-RoPE", "deepstack", "cu_seqlens"),
        *("cuDNN", "pageable", "NVTX", "naive twin", "cell group", "class of machine", "gate", "manifest", "proposal"),
        *("checksum", "unchecked", "sketch", "marker", "leave-one-out", "self-test", "power", "steal"),
    ],
)
def test_words_of_the_pages_are_told(word: str) -> None:
    assert explain.explained(word)["means"]


def test_the_reference_tower_has_one_name() -> None:
    """Older files call it the yardstick, which `explain` says; nothing else does."""
    files = [*(ROOT / "vlbench").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    assert [path.name for path in files if "yardstick" in path.read_text().lower()] == ["words.md"]
