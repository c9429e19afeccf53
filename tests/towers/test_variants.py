from __future__ import annotations

import pytest

from tests.implementations.towers import name_of
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, USUAL, Exactness, FlagSet
from vlbench.implementations.peers import PEERS
from vlbench.towers.variants import (
    TOLD_ON_CUDA,
    Variant,
    default_variants,
    parse_variant,
    reference_tower,
    unique,
    variants_on_cuda,
)

QWEN2, QWEN2_5 = MODELS["qwen2-vl-tiny"], MODELS["qwen2.5-vl-tiny"]


def parse(text: str, device: str = "cpu") -> Variant:
    return parse_variant(text, QWEN2_5, device)


def refusal(text: str, device: str = "cpu") -> str:
    with pytest.raises(UsageError) as caught:
        parse(text, device)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_reference_tower_by_name() -> None:
    assert parse("baseline") == reference_tower()
    assert reference_tower().flags is None


def test_a_flag() -> None:
    assert parse("rope-cache") == Variant("rope-cache", ("rope-cache",), Exactness.BIT_EXACT)


def test_flags_are_joined_and_sorted_and_the_loosest_class_counts() -> None:
    joined = parse("window-sort+host-grid")
    assert joined.name == "window-sort+host-grid"
    assert joined.flags == ("host-grid", "window-sort")
    assert joined.exactness is Exactness.REASSOCIATED


def test_a_preset_leaves_out_what_means_nothing_here_and_says_so() -> None:
    classic = parse("classic")
    assert classic.flags == ("argsort-inverse", "rope-cache", "sdpa-prealloc")
    assert list(classic.left_out) == ["pinned-h2d"]
    assert "copies to a GPU" in classic.left_out["pinned-h2d"]
    assert "pinned-h2d" in (parse("classic", "cuda").flags or ())


def test_a_preset_and_a_flag() -> None:
    more = parse("classic+host-grid")
    assert set(more.flags or ()) == {"host-grid", *(parse("classic").flags or ())}
    assert more.left_out == parse("classic").left_out


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "baseline"])
@pytest.mark.parametrize("config", [QWEN2, QWEN2_5], ids=name_of)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_preset_can_be_built_everywhere(name: str, config: VisionConfig, device: str) -> None:
    assert parse_variant(name, config, device).flags


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("host-gird", "variant 'host-gird': there is no flag 'host-gird'; did you mean host-grid?"),
        ("rope-cache+nonsense", "there is no flag 'nonsense'; the flags are host-grid, "),
        ("", "there is no flag ''"),
        ("host-grid+", "there is no flag ''"),
        ("host-inverse+argsort-inverse+best", "are two ways of one seam (inverse permutation); choose one"),
        ("argsort-inverse+host-inverse", "are two ways of one seam (inverse permutation); choose one"),
        ("batched-windows", "batched-windows needs host-seqlens; add it: host-seqlens+batched-windows"),
        ("pinned-h2d", "pinned-h2d cannot be used here: it concerns copies to a GPU, and on a cpu there are none"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_remedy(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_misspelt_preset_is_recognised() -> None:
    assert "did you mean classic?" in refusal("clasic")


def test_what_a_model_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="qwen2-vl-tiny has no window attention"):
        parse_variant("no-empty-windows", QWEN2, "cpu")


@pytest.mark.parametrize("config", [QWEN2, QWEN2_5], ids=name_of)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_by_default_every_flag_is_a_row_or_left_out_with_a_reason(config: VisionConfig, device: str) -> None:
    variants, left_out = default_variants(config, device)
    names = [variant.name for variant in variants]
    last = {name.rpartition("+")[2] for name in names}
    assert {*last, *left_out} == OPTIMIZATIONS.keys() | {*USUAL} - {"baseline"} | {"no-flags"}
    assert not last & left_out.keys()
    assert all(left_out.values())
    assert len(set(names)) == len(names)
    for variant in variants:
        FlagSet(frozenset(variant.flags or ()), config, device)
        alone = variant.name not in ("no-flags", *USUAL)
        assert variant.reference == ("no-flags" if alone else "baseline")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_flag_that_changes_results_is_a_row_only_where_it_is_named(device: str) -> None:
    every = {name: flag for name, flag in OPTIMIZATIONS.items() if flag.exactness is Exactness.RESULT_CHANGING}
    changing = {name for name, flag in every.items() if flag.seam.in_tower}
    assert changing == {"rope-lowp", "fp8-linear", "fp8-attention"} == every.keys() - {"evs"}
    variants, left_out = default_variants(QWEN2_5, device)
    assert not changing & {flag for variant in variants for flag in variant.flags or ()}
    assert {left_out[name].partition(",")[0] for name in changing} == {"it changes results"}
    assert parse("best+rope-lowp", device).exactness is Exactness.RESULT_CHANGING


@pytest.mark.parametrize("config", [QWEN2, QWEN2_5], ids=name_of)
def test_what_a_short_budget_has_time_for_begins_with_best_and_the_presets(config: VisionConfig) -> None:
    names = [variant.name for variant in unique(default_variants(config, "cpu")[0])]
    assert names[:5] == ["baseline", "no-flags", "best", "classic", "exact"]
    assert {each.rpartition("+")[2] for each in names[5:]} <= OPTIMIZATIONS.keys()


@pytest.mark.parametrize("config", [QWEN2, QWEN2_5], ids=name_of)
def test_on_cuda_few_rows_are_timed_each_under_the_name_that_asks_for_it(config: VisionConfig) -> None:
    variants, left_out = variants_on_cuda(config)
    assert left_out == {}
    assert [variant.name.rpartition("+")[2] for variant in variants] == list(TOLD_ON_CUDA)
    assert variants == [parse_variant(variant.name, config, "cuda") for variant in variants]
    assert {variant.reference for variant in variants} == {"baseline"}


def test_a_default_row_has_the_name_that_asks_for_it() -> None:
    variants, left_out = default_variants(QWEN2_5, "cpu")
    assert "pinned-h2d" in left_out
    assert "host-seqlens+batched-windows" in [variant.name for variant in variants]
    for variant in variants:
        asked = parse(variant.name)
        assert (asked.name, asked.flags, asked.exactness) == (variant.name, variant.flags, variant.exactness)


def test_a_default_preset_says_what_it_leaves_out() -> None:
    variants, _ = default_variants(QWEN2_5, "cpu")
    assert parse("classic") in variants


def test_the_reference_tower_comes_first_and_once_and_nothing_twice() -> None:
    rows = [parse(text) for text in ("rope-cache", "baseline", "host-grid", "rope-cache", "baseline")]
    assert [variant.name for variant in unique(rows)] == ["baseline", "rope-cache", "host-grid"]
    assert unique([]) == [reference_tower()]


def test_the_same_flags_in_another_order_are_the_same_variant() -> None:
    assert len(unique([parse("host-grid+rope-cache"), parse("rope-cache+host-grid")])) == 2


def test_peers_have_no_flags_and_are_told_apart_all_the_same() -> None:
    pytest.importorskip("transformers")
    rows = unique([parse("hf-sdpa"), parse("hf-eager"), parse("hf-sdpa"), parse("rope-cache")])
    assert [row.name for row in rows] == ["baseline", "hf-sdpa", "hf-eager", "rope-cache"]
    assert rows[1] == Variant(
        "hf-sdpa", (), Exactness.REASSOCIATED, tower="hf-sdpa:qwen2.5-vl-tiny", source=PEERS["hf-sdpa"].require()
    )


def test_the_floor_is_a_row_that_is_not_held_to_be_right() -> None:
    row = parse("floor")
    assert (row.flags, row.exactness, row.tower) == ((), Exactness.RESULT_CHANGING, "floor:qwen2.5-vl-tiny")
    assert row.source == "its products and attention alone"
    assert "floor" not in {each.name for each in default_variants(MODELS["qwen2.5-vl-tiny"], "cpu")[0]}


def test_a_peer_takes_no_flags() -> None:
    assert "hf-sdpa is another project's tower" in refusal("hf-sdpa+rope-cache")


def test_anyones_tower_is_a_row() -> None:
    row = parse("tests.towers.toys:Toy")
    assert (row.name, row.flags, row.tower) == ("tests.towers.toys:Toy", (), "tests.towers.toys:Toy")


def test_a_flag_that_has_a_pair_is_a_row_alone_and_a_row_with_it() -> None:
    rows = {variant.name: variant for variant in default_variants(QWEN2_5, "cuda")[0]}
    assert rows["mlp-pad"].flags == ("mlp-pad",)
    assert rows["fused-gate-up+mlp-pad"].flags == ("fused-gate-up", "mlp-pad")
    assert rows["fused-gate-up+mlp-pad"].reference == "no-flags"
    assert not any("mlp-pad" in variant.name for variant in default_variants(QWEN2, "cuda")[0])
    _, left_out = default_variants(MODELS["qwen2.5-vl-72b"], "cuda")
    assert left_out["mlp-pad"] == "the MLP of qwen2.5-vl-72b is a multiple of 8 wide, 3456"


def test_flash_attention_of_transformers_has_no_row_on_a_cpu() -> None:
    told = "variant 'hf-flash': hf-flash attends on CUDA alone; choose hf-sdpa, or --device cuda"
    assert refusal("hf-flash") == told  # also where flash-attn is not installed, which would not help
    if PEERS["hf-flash"].version is None:
        assert "needs flash-attn, which is not installed; pip install flash-attn" in refusal("hf-flash", "cuda")
    assert (PEERS["hf-flash"].needs, PEERS["hf-compile"].needs) == ("flash-attn, CUDA", "transformers")
