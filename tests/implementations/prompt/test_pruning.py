"""Pruning of video tokens against a sort of the tokens one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from vlbench.implementations.optimized import OPTIMIZATIONS
from vlbench.implementations.prompt.mrope import RULES, Item, Request, mrope
from vlbench.implementations.prompt.pruning import evs, pruned_request

RULE = RULES["qwen2_5_vl"]
cells = st.integers(1, 4)


@given(
    t=st.integers(1, 5), h=cells, w=cells, pruned=st.sampled_from([0, 0.1, 0.5, 0.75, 0.99]), seed=st.integers(0, 99)
)
def test_what_differs_most_from_the_frame_before_is_kept(t: int, h: int, w: int, pruned: float, seed: int) -> None:
    vision = torch.randn(t * h * w, 8, generator=torch.Generator().manual_seed(seed))
    kept = evs(vision, Item((t, 2 * h, 2 * w), "video"), RULE, pruned).kept
    assert kept[: h * w].all()
    assert int(kept.sum()) == max(h * w, int(t * h * w * (1 - pruned)))
    news = 1 - cosine_similarity(vision[h * w :], vision[: -h * w], dim=-1)
    later = kept[h * w :]
    if later.any() and not later.all():
        assert news[later].min() >= news[~later].max()


def test_a_still_picture_keeps_its_first_frame_and_loses_nothing() -> None:
    frame = torch.randn(6, 8)
    pruned = evs(frame.repeat(4, 1), Item((4, 4, 6), "video"), RULE, 0.75)
    assert pruned.kept.tolist() == [True] * 6 + [False] * 18
    assert pruned.retained == 0.25
    assert pruned.cosine_error == pytest.approx(0, abs=1e-6)


def test_the_error_is_that_of_what_stands_in() -> None:
    """One cell that turns: it is kept where it turned, and the slow turns behind it are told by their angle."""
    angles = torch.tensor([0.0, 0.1, 1.5, 1.6])
    vision = torch.stack([angles.cos(), angles.sin()], dim=1)
    pruned = evs(vision, Item((4, 2, 2), "video"), RULE, 0.5)
    assert pruned.kept.tolist() == [True, False, True, False]
    assert pruned.cosine_error == pytest.approx(1 - torch.tensor(0.1).cos().item(), abs=1e-6)
    assert evs(vision, Item((4, 2, 2), "video"), RULE, 0).cosine_error == 0


def test_kept_tokens_and_text_stay_where_they_were() -> None:
    item = Item((3, 2, 4), "video", 1.0)
    ids = torch.tensor([1, 2, *[RULE.video_token] * 6, 3])
    kept = torch.tensor([True, True, False, True, False, False])
    pruned, positions, delta = pruned_request(Request(ids, (item,)), [kept], RULE)
    whole, _ = mrope.naive_way([Request(ids, (item,))], RULE)
    assert pruned.tolist() == [1, 2, *[RULE.video_token] * 3, 3]
    assert torch.equal(positions, whole[:, [0, 1, 2, 3, 5, 8]])
    assert delta == int(positions.max()) + 1 - len(pruned)


@pytest.mark.parametrize("pruned", [-0.1, 1, float("nan")])
def test_a_share_that_is_none_is_an_error(pruned: float) -> None:
    with pytest.raises(ValueError, match="give a share from 0 up, below 1"):
        evs(torch.ones(4, 2), Item((1, 4, 4), "video"), RULE, pruned)


def test_other_shapes_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\[3, 2\]; 4 tokens of a grid of \(1, 4, 4\) do"):
        evs(torch.ones(3, 2), Item((1, 4, 4), "video"), RULE)
    with pytest.raises(ValueError, match="kept is about 0 tokens, and the prompt's videos have 1"):
        pruned_request(Request(torch.tensor([RULE.video_token]), (Item((1, 2, 2), "video"),)), [], RULE)


def test_no_tower_takes_it() -> None:
    assert "evs" not in OPTIMIZATIONS
