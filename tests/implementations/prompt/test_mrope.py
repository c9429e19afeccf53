"""M-RoPE against an enumeration that goes from token to token, and where transformers 5 has another rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from vlbench.implementations.config import FAMILIES
from vlbench.implementations.prompt.mrope import RULES, Item, Mrope, PositionRule, Request, mrope

TEXT = 9
ways = pytest.mark.parametrize("way", [mrope.naive_way, *(mrope.way_of([flag]) for flag in mrope.flags)])
families = pytest.mark.parametrize("family", RULES)


def tokens_of(item: Item, rule: PositionRule) -> list[list[int]]:
    """The runs of placeholders of an item."""
    t, h, w = item.grid
    if item.kind == "image":
        return [[rule.image_token] * (t * h * w // 4)]
    if rule.frames_apart:
        return [[rule.video_token] * (h * w // 4)] * t
    return [[rule.video_token] * (t * h * w // 4)]


def prompt(texts: Sequence[int], items: Sequence[Item], rule: PositionRule, between: int = 2) -> list[int]:
    """Text of these lengths with an item after each but the last; `between` tokens of text between frames."""
    ids = [TEXT] * texts[0]
    for item, text in zip(items, texts[1:], strict=True):
        first, *later = tokens_of(item, rule)
        ids += first
        for run in later:
            ids += [TEXT] * between + run
        ids += [TEXT] * text
    return ids


def enumerated(ids: Sequence[int], items: Sequence[Item], rule: PositionRule) -> list[tuple[int, int, int]]:
    """The positions, found one token after the other."""
    cells = []
    for item in items:
        t, h, w = item.grid
        apart = 1.0
        if item.kind == "video" and rule.tokens_per_second is not None:
            apart = rule.tokens_per_second * item.seconds
        frames = [[(frame, row, column) for row in range(h // 2) for column in range(w // 2)] for frame in range(t)]
        if item.kind == "video" and rule.frames_apart:
            cells += [[(0, row, column) for _, row, column in frame] for frame in frames]
        else:
            cells += [[(int(time * apart), row, column) for frame in frames for time, row, column in frame]]
    runs, found, following = iter(cells), [], 0
    waiting: list[tuple[int, int, int]] = []
    for token in ids:
        if token == TEXT:
            found.append((following,) * 3)
        else:
            if not waiting:
                waiting, base = list(next(runs)), following
            time, row, column = waiting.pop(0)
            found.append((base + time, base + row, base + column))
        following = max(following, max(found[-1]) + 1) if token != TEXT else following + 1
    return found


sides = st.integers(1, 4).map(lambda cells: 2 * cells)
item = st.one_of(
    st.builds(lambda h, w: Item((1, h, w)), sides, sides),
    st.builds(
        lambda t, h, w, fps: Item((t, h, w), "video", 2 / fps),
        st.integers(1, 6),
        sides,
        sides,
        st.sampled_from([1, 2, 3, 4, 8, 30]),
    ),
)


@st.composite
def request(draw: st.DrawFn, rule: PositionRule) -> tuple[Request, list[tuple[int, int, int]]]:
    items = draw(st.lists(item, max_size=3))
    texts = draw(st.lists(st.integers(0, 4), min_size=len(items) + 1, max_size=len(items) + 1))
    texts[0] += not items
    ids = prompt(texts, items, rule, between=draw(st.integers(0, 2)))
    first = draw(st.integers(0, len(ids)))
    last = draw(st.one_of(st.none(), st.integers(first, len(ids))))
    return Request(torch.tensor(ids), tuple(items), first, last), enumerated(ids, items, rule)


@ways
@families
@given(data=st.data())
def test_positions_of_a_batch_are_those_of_an_enumeration(way: Mrope, family: str, data: st.DataObject) -> None:
    rule = RULES[family]  # type: ignore[index]
    batch = data.draw(st.lists(request(rule), min_size=1, max_size=3))
    positions, deltas = way([each for each, _ in batch], rule)
    wanted = [place for each, places in batch for place in places[each.first : each.last]]
    assert positions.T.tolist() == [list(place) for place in wanted]
    assert positions.dtype == deltas.dtype == torch.int64
    assert deltas.tolist() == [max(map(max, places)) + 1 - len(places) for _, places in batch]


@ways
def test_chunks_of_a_prefill_put_end_to_end_are_the_whole(way: Mrope) -> None:
    rule, items = RULES["qwen2_5_vl"], (Item((1, 6, 4)), Item((3, 4, 4), "video", 0.5))
    ids = torch.tensor(prompt([5, 3, 4], items, rule))
    whole, delta = way([Request(ids, items)], rule)
    cuts = [0, 4, 7, 20, len(ids)]
    chunks, deltas = way([Request(ids, items, *cut) for cut in pairwise(cuts)], rule)
    assert torch.equal(chunks, whole)
    assert deltas.tolist() == delta.tolist() * 4


@ways
def test_time_that_is_no_whole_number_is_truncated_after_the_product(way: Mrope) -> None:
    rule = RULES["qwen2_5_vl"]
    items = (Item((4, 2, 2), "video", 2 / 3),)
    positions, _ = way([Request(torch.tensor(prompt([0, 1], items, rule)), items)], rule)
    assert positions[0].tolist() == [0, 1, 2, 4, 5]


@ways
@pytest.mark.parametrize(
    ("ids", "items", "words"),
    [
        ([9, 151_655], (Item((1, 4, 4)),), r"\(1, 4, 4\) needs 4 times the id 151655 from token 1 .*, and 1 are there"),
        (
            [9, 151_656],
            (Item((1, 2, 2)),),
            "needs 1 times the id 151655 from token 1 of its prompt on, and 0 are there",
        ),
        ([9, 9], (Item((1, 2, 2)),), "from token 2 of its prompt on, and 0 are there"),
        ([151_655] * 2, (Item((1, 2, 2)),), "placeholders behind those of its last item"),
        ([9, 151_655, 9], (), "placeholders behind those of its last item"),
    ],
)
def test_placeholders_that_do_not_fit_the_items_are_an_error(
    way: Mrope, ids: list[int], items: tuple[Item, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        way([Request(torch.tensor(ids), items)], RULES["qwen2_vl"])


@ways
@pytest.mark.parametrize("grid", [(0, 2, 2), (1, 1, 4), (1, 3, 4), (1, 4, 0)])
def test_a_grid_without_tokens_is_an_error(way: Mrope, grid: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is none; give 1 or more rows, and sides by 2"):
        way([Request(torch.tensor([9, 9]), (Item(grid),))], RULES["qwen2_vl"])


class Theirs:
    """transformers' own, without its weights."""

    def __init__(self, family: str) -> None:
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_MAPPING

        config = AutoConfig.for_model(family)
        config.vision_config.tokens_per_second = 2  # that of the released files; the class has 4
        self.config = config
        kind = MODEL_MAPPING[type(config)]
        with torch.device("meta"):
            self.model = kind.__new__(kind)
        torch.nn.Module.__init__(self.model)
        self.model.config = config

    def positions(self, ids: Tensor, items: Sequence[Item]) -> list[list[int]]:
        kinds = (ids == self.config.image_token_id).int() + 2 * (ids == self.config.video_token_id).int()
        grids = {kind: torch.tensor([each.grid for each in items if each.kind == kind]) for kind in ("image", "video")}
        seconds = [each.seconds for each in items if each.kind == "video"]
        found, _ = self.model.get_rope_index(
            ids[None],
            mm_token_type_ids=kinds[None],
            image_grid_thw=grids["image"] if len(grids["image"]) else None,
            video_grid_thw=grids["video"] if len(grids["video"]) else None,
            **({"second_per_grid_ts": seconds} if self.config.model_type == "qwen2_5_vl" and seconds else {}),
        )
        return found[:, 0].T.tolist()


@families
@given(data=st.data())
def test_transformers_agrees_on_text_and_pictures(family: str, data: st.DataObject) -> None:
    rule = RULES[family]  # type: ignore[index]
    items = data.draw(st.lists(st.builds(lambda h, w: Item((1, h, w)), sides, sides), min_size=1, max_size=3))
    ids = torch.tensor(prompt([3] * (len(items) + 1), items, rule))
    positions, _ = mrope.naive_way([Request(ids, tuple(items))], rule)
    assert positions.T.tolist() == Theirs(family).positions(ids, items)


def test_every_family_has_its_rule() -> None:
    assert RULES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen3_5"])
def test_transformers_agrees_on_videos_of_qwen3(family: str) -> None:
    """Each pair of frames is a picture to it."""
    rule, items = RULES[family], (Item((3, 4, 6), "video"),)  # type: ignore[index]
    ids = torch.tensor(prompt([3, 4], items, rule))
    positions, _ = mrope.naive_way([Request(ids, items)], rule)
    assert positions.T.tolist() == Theirs(family).positions(ids, items)


def test_transformers_goes_on_after_the_larger_side_of_a_long_video() -> None:
    """Its text begins before the video ends, so that two tokens stand at one place."""
    rule, items = RULES["qwen2_5_vl"], (Item((20, 4, 4), "video", 1.0),)
    ids = torch.tensor(prompt([3, 2], items, rule))
    (positions, _), theirs = mrope.naive_way([Request(ids, items)], rule), Theirs("qwen2_5_vl").positions(ids, items)
    assert positions.T.tolist()[:-2] == theirs[:-2]
    assert max(map(max, theirs[:-2])) == 41
    assert positions[:, -2:].T.tolist() == [[42] * 3, [43] * 3]
    assert theirs[-2:] == [[5] * 3, [6] * 3]


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl"])
@given(grid=st.tuples(st.integers(1, 12), sides, sides), fps=st.sampled_from([1, 2, 4]), text=st.integers(1, 4))
def test_transformers_differs_behind_a_video_alone_and_where_it_lasts_longer_than_its_sides(
    family: str, grid: tuple[int, int, int], fps: int, text: int
) -> None:
    rule, items = RULES[family], (Item(grid, "video", 2 / fps),)  # type: ignore[index]
    ids = torch.tensor(prompt([text, 2], items, rule))
    positions, theirs = mrope.naive_way([Request(ids, items)], rule)[0].T.tolist(), Theirs(family).positions(ids, items)
    t, side = grid[0], max(grid[1:]) // 2
    last = int((t - 1) * 2 * 2 / fps) if family == "qwen2_5_vl" else t - 1
    assert positions[:-2] == theirs[:-2]
    assert [place for (place, _, _) in theirs[-2:]] == [text + side, text + side + 1]
    assert (positions[-2:] == theirs[-2:]) == (last < side)
