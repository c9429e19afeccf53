"""What flags are said to remove is what was counted, and what was counted is what is counted today."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from results.count_flags import (
    MODEL,
    PROFILE,
    SCENARIOS,
    count_at,
    count_deep,
    count_tower,
    grids_of,
    moved_by,
    named_towers,
)
from vlbench.counting_device import CountingDevice
from vlbench.export.flags import HOST_TIME, moves_in_words
from vlbench.implementations.best import SETS, certificate
from vlbench.implementations.config import MODELS
from vlbench.implementations.operators import NAMESPACE as OURS
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, preset_flags
from vlbench.record.flag_counts import CHURN_PLANS, FlagCounts, stored_counts
from vlbench.workload.library import load_scenario

ROOT = Path(__file__).parents[2]
SEGMENTS, ITEMS = {"single-image": 704, "multi-image": 7016}, {"single-image": 1, "multi-image": 4}
LAYERS = MODEL.depth
Claim = Callable[[Counter[str], str], bool]
"""Whether moves on a scenario are as the words say."""

CLAIMS: dict[str, dict[str, Claim]] = {
    "host-grid": {
        "a read-back (a host sync) for every size looked at": lambda m, on: (
            # (frames, rows, columns) for the ids and for the windows, the longest side, and two for the frames' bounds
            m["read_backs"] == m["host_syncs"] == -(2 * 3 * ITEMS[on] + 3)
        ),
        "bounds of frames are sent in place of the grid": lambda m, on: m["uploads"] == 0,
    },
    "no-empty-windows": {
        "the `unique_consecutive` (a host sync on CUDA)": lambda m, on: (
            m["aten::unique_consecutive"] == m["host_syncs"] == m["device_operations"] == -1
        )
    },
    "window-sort": {
        "the gather of q, k, v in window layers": lambda m, on: (
            # the multi-image batch has mixed frames, which full layers gather in its place: 4 calls in each of 4
            m["device_operations"] == {"single-image": -4 * 28, "multi-image": -4 * 28 + 4 * 4}[on]
        )
    },
    "window-cache": {"the rebuilding of a grid's window order": lambda m, on: not m},
    "argsort-inverse": {
        "one of the two operations of the scatter": lambda m, on: m["device_operations"] == -1,
        "one sort": lambda m, on: m["aten::argsort"] + m["aten::sort"] == 1,
    },
    "host-inverse": {
        "both operations of the inverse": lambda m, on: m["device_operations"] == -2,
        "for one more upload: a wait": lambda m, on: m["uploads"] == m["host_syncs"] == 1,
    },
    "inverse-pinned": {"straight into pinned memory": lambda m, on: not m},
    "varlen": {
        "all attention calls but one a layer": lambda m, on: m["attention_calls"] == LAYERS - SEGMENTS[on],
        "a wait, if the device says it": lambda m, on: m["read_backs"] == LAYERS - 6 * SEGMENTS[on],
    },
    "host-max-seqlen": {
        # the bounds of frames lie on the device, where the grid does: they are read back once
        "a host sync in every layer": lambda m, on: m["read_backs"] == m["host_syncs"] == 1 - LAYERS
    },
    "block-mask": {
        "all attention calls but one a layer": lambda m, on: m["attention_calls"] == LAYERS - SEGMENTS[on],
        "for a mask": lambda m, on: m["aten::eq.Tensor"] == LAYERS and m["host_syncs"] == -6 * SEGMENTS[on],
    },
    "pinned-h2d": {
        "each copy that the plan sends": lambda m, on: m["host_syncs"] == -4 and m["pinned_uploads"] == 4,
        "the position ids among them, which it then sends itself": lambda m, on: (
            m["implicit_uploads"] == -1 and m["uploads"] == 1
        ),
    },
    "packed-h2d": {
        "all copies of the window order and the bounds but one": lambda m, on: m["uploads"] == m["host_syncs"] == -1
    },
    "device-pos-ids": {
        "the hidden blocking copy": lambda m, on: m["implicit_uploads"] == m["host_syncs"] == -1,
        "six small launches an image": lambda m, on: m["device_operations"] == 6 * ITEMS[on] + 1,
    },
    "rope-table": {
        "the building of the angle table and all trigonometry": lambda m, on: (
            m["aten::cos"] == m["aten::sin"] == -2 * LAYERS and m["aten::mul"] + m["aten::outer"] <= 0
        ),
        "a second look-up by the same ids": lambda m, on: m["implicit_uploads"] == 1,
    },
    "rope-freq-table": {
        "the making of the angle table in every forward": lambda m, on: m["aten::arange"] == -1,
        "three launches": lambda m, on: m["device_operations"] == -3,
    },
    "pos-ids-cache": {"host time": lambda m, on: not m},
    "pos-embed-vectorized": {
        "63 launches for each further image, and 17 of the first": lambda m, on: (
            m["device_operations"] == -17 - 63 * (ITEMS[on] - 1)
        ),
        "for one small upload: a wait": lambda m, on: m["uploads"] == m["host_syncs"] == 1,
    },
    "pos-embed-cache": {
        "rows and weights for (rows, columns) seen before, which are kept": lambda m, on: (
            m["live_bytes"] > 0 > m["device_operations"]
        ),
        "all look-ups but one": lambda m, on: m["aten::embedding"] == 1 - 4 * ITEMS[on],
    },
    "rope-triton": {
        "every operation of a layer's rotation but one kernel": lambda m, on: (
            # q and k: 11 each, and now the cos and sin of angles, and the kernel
            m[f"{OURS}::turn_"] == LAYERS and m["device_operations"] == LAYERS * (3 - 2 * 11)
        ),
        "which works in place": lambda m, on: m["peak_live_bytes"] < 0,
    },
    "rope-ids-triton": {
        "the angle table, its look-up and the layers' trigonometry": lambda m, on: (
            m["aten::cos"] == m["aten::sin"] == -2 * LAYERS and m["aten::arange"] == m["implicit_uploads"] == -1
        ),
        "for one kernel": lambda m, on: m[f"{OURS}::cos_and_sin"] == 1,
    },
    "pos-embed-triton": {
        "all launches but one": lambda m, on: (
            m["device_operations"] == 1 - (63 * ITEMS[on] + 2) and m[f"{OURS}::resample"] == 1
        ),
        "for one small upload: a wait": lambda m, on: m["uploads"] == m["host_syncs"] == 1,
    },
    "fused-residual-norm": {
        "the operations of a block's two norms, and the sums before them": lambda m, on: (
            m["device_operations"] == 1 + LAYERS * (2 - (8 + 8 + 1 + 1))
        ),
        "but one kernel each": lambda m, on: (
            (m[f"{OURS}::normalise"], m[f"{OURS}::add_and_normalise"], m["host_syncs"]) == (1, 2 * LAYERS - 1, 0)
        ),
    },
    "deepstack-dict": {"Python time": lambda m, on: not m},
    "deepstack-prealloc": {
        "one tensor for all": lambda m, on: m["allocations"] == -2,
        "no launch": lambda m, on: m["device_operations"] == 0,
    },
    "rope-shared": {
        "cos and sin are computed once per forward": lambda m, on: m["aten::cos"] == m["aten::sin"] == 1 - 2 * LAYERS,
        "four trigonometric kernels in every layer": lambda m, on: m["device_operations"] == 2 - 4 * LAYERS,
    },
    "rope-cache": {
        "trigonometry": lambda m, on: m["aten::cos"] == m["aten::sin"] == -2 * LAYERS,
        "index uploads": lambda m, on: m["implicit_uploads"] == -1,
    },
    "host-seqlens": {"six host syncs per attention segment": lambda m, on: m["read_backs"] == -6 * SEGMENTS[on]},
    "patch-matmul": {"Conv3d": lambda m, on: m["aten::convolution"] == -1 and m["aten::mm"] == 1 and len(m) == 2},
    "no-einops": {
        "Python time": lambda m, on: {name for name in m if "::" not in name} == {CHURN_PLANS},
        "most plans of cuDNN on changing grids": lambda m, on: (
            -m[CHURN_PLANS] > stored_counts().towers["no-flags"][on][CHURN_PLANS] / 2
        ),
    },
    "strided-qkv": {
        "three copies of the size of the hidden states in every layer": lambda m, on: (
            m["device_operations"] == m["aten::clone"] == -3 * LAYERS
        )
    },
    "rope-packed": {
        "half of the rotation's operations and the copies of q and k": lambda m, on: (
            m["device_operations"] == -LAYERS * (11 + 2) and m["aten::neg"] == -LAYERS
        ),
        "at a higher peak": lambda m, on: m["peak_live_bytes"] > 0,
    },
    "sdpa-prealloc": {
        "the concatenation of segment outputs, for a slice copy each": lambda m, on: (
            m["aten::cat"] == -LAYERS and m["device_operations"] == SEGMENTS[on] - LAYERS
        ),
        "two waits where bounds are on the device": lambda m, on: m["host_syncs"] == 2 * SEGMENTS[on],
    },
    "batched-windows": {
        "at most 9 a layer instead of one per window": lambda m, on: (
            m["attention_calls"] + SEGMENTS[on] <= 9 * 28 + 4 * ITEMS[on]
        )
    },
    "fused-gate-up": {
        "one of three products per MLP": lambda m, on: m["device_operations"] == m["aten::addmm"] == -LAYERS,
        "not kept twice": lambda m, on: m["live_bytes"] == 0,
    },
    "mlp-pad": {
        "filled up with zeros": lambda m, on: (
            # four more rows of three weights, and of two biases, in each block; no operation more
            m["live_bytes"] == 2 * LAYERS * 4 * (3 * MODEL.hidden_size + 2)
            and m["device_operations"] == m["host_syncs"] == 0
        )
    },
    "sdpa-flash": {
        "plans, one on the host for each new shape of an attention call": lambda m, on: (
            m[CHURN_PLANS] == -stored_counts().towers["no-flags"][on][CHURN_PLANS] < 0
        ),
        "flash attention needs none": lambda m, on: m["host_syncs"] == m["device_operations"] == 0,
    },
    "window-ladder": {
        "plan for each new number of windows": lambda m, on: (
            # a single photo has few windows: in eight calls a batch that was split costs more than what comes again
            m[CHURN_PLANS] == {"single-image": 1, "multi-image": -13}[on]
        ),
        "for a second call": lambda m, on: (
            # one image has 16, 4, 4 and 1 windows of its sizes, which are powers of two already
            m["attention_calls"] == {"single-image": 0, "multi-image": 4 * 28}[on] and not m["host_syncs"]
        ),
    },
    "rope-lowp": {
        "the casts of q and k to fp32 and back": lambda m, on: m["aten::_to_copy"] == -4 * LAYERS + 2,
        "trigonometry in the layers": lambda m, on: m["aten::cos"] == m["aten::sin"] == 1 - 2 * LAYERS,
    },
    "fp16-clamp": {"no cost: one operation more in fp16": lambda m, on: not m},
    "fp8-linear": {
        "nothing here": lambda m, on: m["device_operations"] > 0 == m["host_syncs"],
        "the linears of the blocks are rounded": lambda m, on: m["aten::amax"] == 2 * 5 * LAYERS,
    },
    "fp8-attention": {
        "q, k and v, not the probabilities, are rounded": lambda m, on: (
            m["aten::amax"] == 3 * LAYERS and not m["host_syncs"]
        )
    },
    "still-fold": {"half of the bytes sent": lambda m, on: m["upload_bytes"] == -784 * 588 * 4},
    "uint8-pixels": {"three of four bytes sent": lambda m, on: m["upload_bytes"] == -784 * 1176 * 3},
    "compile": {"compiling at first sight": lambda m, on: False},
    "graph-exact": {
        # operation by operation: the count has what is recorded, and what stands around it
        "a copy of each input and output": lambda m, on: m["device_operations"] > 0 == m["host_syncs"]
    },
    "graph-budget": {
        # one attention call in each layer, whose boundaries for frames and for windows are sent
        "for padding": lambda m, on: m["torch_attn::_varlen_attn"] == LAYERS and m["peak_live_bytes"] > 0,
        "boundaries sent: a wait, unless pinned": lambda m, on: m["uploads"] == m["host_syncs"] == 2,
    },
    "merge-masked-scatter": {"the host sync of a boolean mask": lambda m, on: m["host_syncs"] == -1},
    "merge-host-indices": {
        "the host sync of a boolean mask": lambda m, on: m["host_syncs"] == -1,
        "sent over": lambda m, on: m["uploads"] == m["pinned_uploads"] == 1,
    },
    "mrope-numpy": {"the host time": lambda m, on: not m},
    "evs": {
        "for a read-back of which stay": lambda m, on: m["read_backs"] == m["host_syncs"] == 1 and not m["uploads"]
    },
    "text-only": {"its ids stay": lambda m, on: not m},
}
"""What the text of a flag says, word by word, and how that shows in the counters."""


@pytest.mark.parametrize("flag", OPTIMIZATIONS)
def test_what_a_flag_is_said_to_remove_was_counted(flag: str) -> None:
    moves = stored_counts().flags[flag].moves
    known, seam = OPTIMIZATIONS[flag], OPTIMIZATIONS[flag].seam
    assert stored_counts().flags[flag].uncounted == known.uncounted
    counted = list(SCENARIOS) if seam.in_tower else [f"seam {seam.name}"]
    assert list(moves) == ([] if known.uncounted else counted)
    for words, holds in CLAIMS[flag].items():
        assert words in OPTIMIZATIONS[flag].removes
        for scenario, moved in moves.items():
            assert holds(Counter(moved), scenario), f"{words}: {scenario}: {moved}"


def test_words_of_moves() -> None:
    assert moves_in_words("host-inverse") == "operations -2, waits +1, uploads +1"
    assert moves_in_words("device-pos-ids") == "operations +7 / +25, waits -1, implicit uploads -1"
    assert moves_in_words("window-cache") == HOST_TIME
    assert moves_in_words("fused-gate-up") == "operations -32"
    assert moves_in_words("window-sort").startswith("beside batched-windows and host-seqlens: operations -112 / -96")
    assert moves_in_words("patch-matmul").startswith("no counter, one operation for another: convolution -1")
    assert moves_in_words("compile") == "not counted: what is compiled cannot be looked into"
    assert moves_in_words("nobody-knows") == "not counted yet"


def test_classic_asks_for_more_than_no_flags() -> None:
    assert "together more operations and waits than without" in PRESETS["classic"].summary
    for scenario in SCENARIOS:
        classic, without = (stored_counts().towers[name][scenario] for name in ("classic", "no-flags"))
        assert classic["device_operations"] > without["device_operations"]
        assert classic["host_syncs"] > without["host_syncs"]


def test_figures_in_words_are_those_that_were_counted() -> None:
    reference, best = (stored_counts().towers[name]["single-image"] for name in ("baseline", "best"))
    page = " ".join((ROOT / "docs/flags.md").read_text().split())
    assert f"needs {best['attention_calls']} calls in place of {reference['attention_calls']}" in page


def test_each_certificate_of_best_names_what_there_is_and_its_counts_are_those_stored() -> None:
    for each in SETS:
        assert OPTIMIZATIONS.keys() >= {*each.flags, *each.passed_over}
        for made in each.certificate.values():
            assert made.by
            assert made.model in MODELS
            assert made.model in made.claim
            load_scenario(made.shapes)
            stored = stored_counts().towers["best"].get(made.shapes, {})
            assert made.counts == {name: stored[name] for name in made.counts}
    assert certificate("cuda").counts.keys() > {"host_syncs", "uploads", "attention_calls", CHURN_PLANS}
    assert certificate("cpu", 160).by.startswith("measured on ")


@pytest.mark.slow
def test_the_counts_of_a_certificate_are_those_of_today(device: CountingDevice) -> None:
    made = certificate("cuda")
    flags = preset_flags("best", MODELS[made.model], "cuda")[0]
    today = count_tower(flags, grids_of(made.shapes), device)
    assert made.counts == {name: today[name] for name in made.counts}


def test_no_flags_asks_for_what_the_reference_tower_does() -> None:
    for scenario in SCENARIOS:
        without, reference = (stored_counts().towers[name][scenario] for name in ("no-flags", "baseline"))
        assert {name for name in without if without[name] != reference[name]} <= {"peak_live_bytes"}


@pytest.mark.parametrize("name", ["qwen2.5-vl-7b", "best-of-many"])
def test_the_gate_counts_the_same_at_full_depth(name: str) -> None:
    """The baselines hold counts of all 32 blocks, made by another way."""
    cells = json.loads((ROOT / f"results/baselines/{name}.json").read_text())["counted"]
    for cell in cells:
        tower = stored_counts().towers["best" if "+" in cell["tower"] else "baseline"][cell["scenario"]]
        counters = cell["warm"]["counters"]
        assert {each: tower[each] for each in counters if each != "pageable_uploads"} == {
            each: count for each, count in counters.items() if each != "pageable_uploads"
        }


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost", PROFILE) as opened:
        yield opened
    count_deep.cache_clear()


def same(found: FlagCounts, flag: str) -> bool:
    stored = stored_counts().flags[flag]
    return found.beside == stored.beside and all(moved == stored.moves[on] for on, moved in found.moves.items())


def test_a_seam_outside_of_the_tower_is_counted_as_it_is_stored(device: CountingDevice) -> None:
    if stored_counts().torch_version != torch.__version__.partition("+")[0]:
        pytest.skip("counts are of another torch")
    for flag in ("merge-masked-scatter", "merge-host-indices"):
        assert same(moved_by(OPTIMIZATIONS[flag], device), flag)


@pytest.mark.slow
@pytest.mark.parametrize("flag", [flag for flag, known in OPTIMIZATIONS.items() if known.seam.in_tower])
def test_every_flag_is_counted_as_it_is_stored(device: CountingDevice, flag: str) -> None:
    assert same(moved_by(OPTIMIZATIONS[flag], device, SCENARIOS[:1]), flag)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no-flags", "classic", "best"])
def test_towers_of_one_and_two_blocks_tell_what_all_ask_for(device: CountingDevice, name: str) -> None:
    flags, grids = dict(named_towers())[name], grids_of("single-image")
    full = count_at(MODEL, flags, grids, device)
    stored = stored_counts().towers[name]["single-image"]
    assert (
        count_deep(flags, grids, device)
        == full
        == {each: count for each, count in stored.items() if each != CHURN_PLANS}
    )
