"""The seal: it holds as long as the content does."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from tests.record.baselines import baseline, cell, forward
from vlbench.record.base import record_of
from vlbench.record.baseline import Baseline

SEALED = baseline(
    cell(
        forward(
            ("read-back", "toy.py:3: x.item()", 4),
            host_syncs=4,
            stages={"attention": {"host_syncs": 4}, "mlp": {"allocations": 2}},
        ),
        bands={"host_syncs": 0.1, "allocations": 0.25},
    ),
    cell(tower="toy:Other"),
)


def shuffled(value: Any, draw: random.Random) -> Any:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = list(value)
        draw.shuffle(keys)
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(each, draw) for each in value] if isinstance(value, list) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all numbers and texts."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, each in pairs for leaf in leaves(each, (*path, key))]
    return [path] if isinstance(value, str | int | float) and not isinstance(value, bool) else []


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]))
def test_the_seal_survives_a_formatter(draw: random.Random, indent: int | None) -> None:
    text = json.dumps(shuffled(json.loads(SEALED.model_dump_json()), draw), indent=indent)
    read = Baseline.model_validate_json(text)
    assert read.intact
    assert Baseline.model_validate_json(read.model_dump_json()).intact


@given(st.sampled_from([path for path in leaves(SEALED.model_dump(mode="json")) if path != ("seal",)]))
def test_no_figure_or_word_can_be_edited_unseen(path: tuple[Any, ...]) -> None:
    content = SEALED.model_dump(mode="json")
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    value = place[path[-1]]
    place[path[-1]] = value + "x" if isinstance(value, str) else value / 2 if isinstance(value, float) else value + 1
    try:
        edited = record_of(Baseline, content)
    except ValidationError:
        return  # seen even sooner
    assert not edited.intact


def test_an_optional_field_that_is_not_there_yet_leaves_the_seal_alone() -> None:
    content = SEALED.model_dump(mode="json")
    del content["captured"]
    del content["counted"][1]["bands"]
    assert record_of(Baseline, content).intact


def test_no_cell_is_there_twice() -> None:
    with pytest.raises(ValidationError, match="'toy:Tower single-image bfloat16 sm_90' is there twice"):
        baseline(cell(), cell())
