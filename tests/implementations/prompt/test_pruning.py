"""Pruning of video tokens against a sort of the tokens one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity

from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, Exactness, FlagError, FlagSet
from vlbench.implementations.optimized.seam import excluded_by
from vlbench.implementations.output import unpack
from vlbench.implementations.prompt.mrope import RULES, Item, PositionRule, Request, mrope
from vlbench.implementations.prompt.pruning import Prune, cosine_error, newest, pruned_request, pruning
from vlbench.towers.variants import default_variants

RULE = RULES["qwen2_5_vl"]
CONFIG = MODELS["qwen2.5-vl-tiny"]
EVS = OPTIMIZATIONS["evs"]
cells = st.integers(1, 4)


def stays(vision: Tensor, item: Item, pruned: float = 0.75) -> Tensor:
    """Which tokens are kept [tokens]."""
    places = newest(vision, item, RULE, pruned)
    assert places.tolist() == sorted(set(places.tolist()))
    return torch.zeros(len(vision), dtype=torch.bool).index_fill(0, places, True)


@given(
    t=st.integers(1, 5), h=cells, w=cells, pruned=st.sampled_from([0, 0.1, 0.5, 0.75, 0.99]), seed=st.integers(0, 99)
)
def test_what_differs_most_from_the_frame_before_is_kept(t: int, h: int, w: int, pruned: float, seed: int) -> None:
    vision = torch.randn(t * h * w, 8, generator=torch.Generator().manual_seed(seed))
    kept = stays(vision, Item((t, 2 * h, 2 * w), "video"), pruned)
    assert kept[: h * w].all()
    assert int(kept.sum()) == max(h * w, int(t * h * w * (1 - pruned)))
    news = 1 - cosine_similarity(vision[h * w :], vision[: -h * w], dim=-1)
    later = kept[h * w :]
    if later.any() and not later.all():
        assert news[later].min() >= news[~later].max()


def test_a_still_picture_keeps_its_first_frame_and_loses_nothing() -> None:
    vision = torch.randn(6, 8).repeat(4, 1)
    kept = newest(vision, Item((4, 4, 6), "video"), RULE)
    assert kept.tolist() == list(range(6)), "a quarter of 24"
    assert cosine_error(vision, kept, 6) == pytest.approx(0, abs=1e-6)


def test_the_error_is_that_of_what_stands_in() -> None:
    """One cell that turns: it is kept where it turned, and the slow turns behind it are told by their angle."""
    angles = torch.tensor([0.0, 0.1, 1.5, 1.6])
    vision = torch.stack([angles.cos(), angles.sin()], dim=1)
    kept = newest(vision, Item((4, 2, 2), "video"), RULE, 0.5)
    assert kept.tolist() == [0, 2]
    assert cosine_error(vision, kept, 1) == pytest.approx(1 - torch.tensor(0.1).cos().item(), abs=1e-6)
    assert cosine_error(vision, newest(vision, Item((4, 2, 2), "video"), RULE, 0), 1) == 0


def test_kept_tokens_and_text_stay_where_they_were() -> None:
    item = Item((3, 2, 4), "video", 1.0)
    ids = torch.tensor([1, 2, *[RULE.video_token] * 6, 3])
    pruned, positions, delta = pruned_request(Request(ids, (item,)), torch.tensor([0, 1, 3]), RULE)
    whole, _ = mrope.naive_way([Request(ids, (item,))], RULE)
    assert pruned.tolist() == [1, 2, *[RULE.video_token] * 3, 3]
    assert torch.equal(positions, whole[:, [0, 1, 2, 3, 5, 8]])
    assert delta == int(positions.max()) + 1 - len(pruned)


def prompt(rule: PositionRule) -> Request:
    """Two videos, of 3 and 2 frames of 2 and 4 tokens, with a picture between them."""
    items = (Item((3, 2, 4), "video"), Item((1, 2, 2)), Item((2, 4, 4), "video"))
    runs = [[rule.video_token] * 6, [rule.image_token], [rule.video_token] * 8]
    if rule.frames_apart:
        runs[0], runs[2] = ([rule.video_token, rule.video_token, 9] * 3, [*[rule.video_token] * 4, 9] * 2)
    return Request(torch.tensor([1, *runs[0], 2, *runs[1], *runs[2], 3, 4]), items)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_each_video_of_a_prompt_is_pruned_by_itself(rule: PositionRule) -> None:
    request, vision = prompt(rule), torch.randn(14, 8, generator=torch.Generator().manual_seed(0))
    whole, left = (unpack(way(vision, request, rule)) for way in (pruning.naive_way, EVS.way))
    assert torch.equal(whole["tokens"], vision)
    assert torch.equal(whole["ids"], request.ids)
    kept = left["kept"]
    assert kept.tolist() == [0, 1, 6, 7, 8, 9], "the first frames: more than a quarter of each"
    assert torch.equal(left["tokens"], vision[kept])
    text = request.ids != rule.video_token
    places = torch.cat([text.nonzero().squeeze(1), (~text).nonzero().squeeze(1)[kept]]).sort().values
    assert torch.equal(left["ids"], request.ids[places])
    assert torch.equal(left["positions"], whole["positions"][:, places])
    assert torch.equal(left["after"], whole["after"])
    assert int(whole["after"]) == int(whole["positions"].max()) + 1


def test_a_prompt_without_videos_stays_as_it_is() -> None:
    request = Request(torch.tensor([5, RULE.image_token, 6]), (Item((1, 2, 2)),))
    whole, left = (unpack(way(torch.empty(0, 8), request, RULE)) for way in (pruning.naive_way, EVS.way))
    assert all(torch.equal(left[name], part) for name, part in whole.items())


@pytest.mark.parametrize("pruned", [-0.1, 1, float("nan")])
def test_a_share_that_is_none_is_an_error(pruned: float) -> None:
    with pytest.raises(ValueError, match="give a share from 0 up, below 1"):
        newest(torch.ones(4, 2), Item((1, 4, 4), "video"), RULE, pruned)


@pytest.mark.parametrize(("kept", "named"), [([0, 1], 1), ([-1, 0], -1), ([-1, 2], -1)])
def test_other_shapes_are_an_error(kept: list[int], named: int) -> None:
    with pytest.raises(ValueError, match=r"\[3, 2\]; 4 tokens of a grid of \(1, 4, 4\) do"):
        newest(torch.ones(3, 2), Item((1, 4, 4), "video"), RULE)
    request = Request(torch.tensor([RULE.video_token]), (Item((1, 2, 2), "video"),))
    with pytest.raises(ValueError, match=f"kept names the token {named}, and the prompt's videos have 1"):
        pruned_request(request, torch.tensor(kept), RULE)


@pytest.mark.parametrize("way", [pruning.naive_way, EVS.way])
@pytest.mark.parametrize("tokens", [5, 9])
def test_tokens_that_do_not_fit_the_videos_are_an_error(way: Prune, tokens: int) -> None:
    request = Request(torch.tensor([1, *[RULE.video_token] * 6]), (Item((3, 2, 4), "video"),))
    with pytest.raises(ValueError, match=f"vision has {tokens} tokens, and the request's videos have 6"):
        way(torch.ones(tokens, 8), request, RULE)


def test_of_tokens_equally_new_the_first_are_kept() -> None:
    kept = newest(torch.ones(2 * 256, 2), Item((2, 32, 32), "video"), RULE, 0.25)
    assert kept.tolist() == list(range(384))


def test_tokens_are_compared_in_fp32_whatever_their_dtype() -> None:
    """In bf16 many would be equally new, and the first of them would stay."""
    vision = torch.randn(2 * 4096, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    item = Item((2, 128, 128), "video")
    assert torch.equal(newest(vision, item, RULE, 0.25), newest(vision.float(), item, RULE, 0.25))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_tower_no_preset_and_no_matrix_has_it(device: str) -> None:
    assert EVS.exactness is Exactness.RESULT_CHANGING
    assert not [name for name, preset in PRESETS.items() if "evs" in preset.flags(device)]
    rows, left_out = default_variants(CONFIG, device)
    assert not [row.name for row in rows if "evs" in (row.flags or ())]
    assert left_out["evs"] == "it is not part of the tower"
    with pytest.raises(FlagError, match=r"^evs is not part of the tower; measure it with --seam pruning$"):
        FlagSet(frozenset({"evs"}), CONFIG, device)


def test_graphs_are_excluded() -> None:
    """How many tokens stay is known beforehand, which ones is not."""
    assert excluded_by(EVS) == ["graph-exact", "graph-budget"]
