from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from vlbench.errors import UsageError
from vlbench.workload.library import shipped_folder
from vlbench.workload.mix import Distribution, draw_items, read_distribution
from vlbench.workload.scenario import Item, Mix, parse_pair

SERVEGEN = str(shipped_folder() / "servegen.json")
SEEDS = st.integers(0, 2**32)


def mix(requests: int = 16, token_budget: int = 8192, distribution: str = SERVEGEN, scale: float = 1.0) -> Mix:
    return Mix(requests=requests, token_budget=token_budget, distribution=distribution, scale=scale)


def tokens(items: tuple[Item, ...]) -> list[int]:
    return [down * across // 4 for down, across in (parse_pair(item.grid or "") for item in items)]


@settings(deadline=None)
@given(SEEDS)
def test_a_seed_fixes_the_draw(seed: int) -> None:
    assert draw_items(mix(), seed) == draw_items(mix(), seed)


def test_draws_are_the_same_on_every_machine() -> None:
    assert [item.grid for item in draw_items(mix(4), 0)] == ["56x82", "6x58", "20x24", "4x6"]


@settings(deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(1, 20), st.integers(1, 20_000))
def test_more_requests_begin_with_the_fewer(seed: int, one: int, other: int, budget: int) -> None:
    few, many = sorted([one, other])
    fewer, more = draw_items(mix(few, budget), seed), draw_items(mix(many, budget), seed)
    assert more[: len(fewer)] == fewer


@settings(deadline=None)
@given(SEEDS, st.integers(1, 10_000))
def test_the_budget_holds_and_one_image_always_passes(seed: int, budget: int) -> None:
    items = draw_items(mix(30, budget), seed)
    assert items
    assert sum(tokens(items)) <= budget or len(items) == 1


def test_the_budget_may_be_spent_to_the_last_token(tmp_path: Path) -> None:
    (tmp_path / "icons.json").write_text(json.dumps(SOUND))
    assert tokens(draw_items(mix(5, 12, str(tmp_path / "icons.json")), 0)) == [6, 6]


def test_the_mix_of_mmmu_has_the_published_mean() -> None:
    found = read_distribution(str(shipped_folder() / "mmmu.json"))
    assert sum(found.image_tokens.values()) == pytest.approx(1)
    assert sum(tokens * share for tokens, share in found.image_tokens.items()) == pytest.approx(336.5, abs=0.05)


def test_draws_have_the_measured_distribution() -> None:
    images = tokens(draw_items(mix(5000, 10**9), 0))
    assert len(images) / 5000 == pytest.approx(1.60, abs=0.15)  # ServeGen: 1.59 with requests that have no image
    assert sum(images) / len(images) == pytest.approx(548, abs=40)
    assert images.count(6) / len(images) == pytest.approx(0.157, abs=0.025)
    assert images.count(1196) / len(images) == pytest.approx(0.098, abs=0.02)


def test_every_token_count_decodes_to_a_grid_of_that_many_tokens() -> None:
    distribution = read_distribution(SERVEGEN)
    for count in distribution.image_tokens:
        down, across = distribution.cells(count)
        assert down * across == count


@pytest.mark.parametrize(
    ("count", "cells"),
    [(6, (2, 3)), (1196, (26, 46)), (1240, (40, 31)), (1272, (53, 24)), (841, (29, 29)), (600, (20, 30))],
)
def test_known_grids_win_over_the_nearest_to_4_by_3(count: int, cells: tuple[int, int]) -> None:
    assert read_distribution(SERVEGEN).cells(count) == cells


@settings(deadline=None)
@given(SEEDS, st.floats(0.01, 1))
def test_scaled_pictures_are_fewer_tokens_but_never_none(seed: int, scale: float) -> None:
    full, scaled = (tokens(draw_items(mix(4, 10**9, scale=factor), seed)) for factor in (1.0, scale))
    assert len(full) == len(scaled)
    assert all(1 <= small <= large for small, large in zip(scaled, full, strict=True))


def test_the_shipped_distribution_credits_its_source() -> None:
    credit = read_distribution(SERVEGEN).credit
    assert all(word in credit for word in ("ServeGen", "Apache-2.0", "2505.09999"))


SOUND = {"credit": "c", "image_count": {"1": 1}, "image_tokens": {"6": 1}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_tokens": {"6": -1}}, r"image_tokens\.6: .*greater than or equal to 0, not -1"),
        ({"image_tokens": {"0": 1}}, r"image_tokens\.0.*greater than or equal to 1"),
        ({"image_count": {"1": 0}}, "image_count needs at least one weight above zero"),
        ({"image_tokens": {"811": 1}}, "811 tokens make no grid but 1x811, which is too narrow"),
        ({"grids": {"6": "4x8"}}, "'4x8' does not make 6 tokens"),
        ({"extra": 1}, r"extra is not a field; remove it \(fields here are credit"),
    ],
)
def test_a_wrong_distribution_is_answered_with_one_sentence(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(SOUND | change))
    with pytest.raises(UsageError, match=sentence) as raised:
        read_distribution(str(file))
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_a_distribution_that_is_absent_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json cannot be read .*mix\.distribution"):
        read_distribution(str(tmp_path / "absent.json"))
    cases = {b"{": "is not JSON", b"\xff\xfe\x00": "is not JSON", b"[]": "has to hold a table"}
    for content, sentence in cases.items():
        (tmp_path / "no.json").write_bytes(content)
        with pytest.raises(UsageError, match=rf"no\.json.* {sentence}"):
            read_distribution(str(tmp_path / "no.json"))


def test_a_distribution_of_ones_own_is_sound() -> None:
    assert Distribution.model_validate(SOUND).cells(6) == (2, 3)
