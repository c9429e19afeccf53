from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vlbench
from vlbench.implementations.output import OutputError, VisionOutput, packed, unpack

TOKENS, DEEP = torch.ones(4, 2), torch.zeros(4, 3)


def test_it_is_public() -> None:
    assert vlbench.VisionOutput is VisionOutput


def test_a_tensor_is_the_tokens() -> None:
    parts = unpack(TOKENS)
    assert list(parts) == ["tokens"]
    assert parts["tokens"] is TOKENS


def test_tokens_come_first_and_all_parts_are_the_very_tensors() -> None:
    parts = unpack(VisionOutput(TOKENS, {"deep": DEEP}))
    assert list(parts) == ["tokens", "deep"]
    assert parts["deep"] is DEEP
    assert unpack(packed(parts)).keys() == parts.keys()


class Later(Mapping[str, Tensor]):
    """Makes its tensors when it is asked for them."""

    made = 0

    def __getitem__(self, name: str) -> Tensor:
        self.made += 1
        return DEEP + 1

    def __iter__(self) -> Iterator[str]:
        return iter(["deep"])

    def __len__(self) -> int:
        return 1


def test_what_is_made_when_it_is_asked_for_is_made_once_and_inside() -> None:
    parts = Later()
    made = unpack(VisionOutput(TOKENS, parts))
    assert parts.made == 1
    assert type(made) is dict


class Mine(VisionOutput):
    """It could compute its tokens when they are looked at."""


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ((TOKENS, DEEP), "the output is a tuple, not a plain tensor; return a tensor or a vlbench.VisionOutput"),
        (Mine(TOKENS), "the output is a Mine, not a plain tensor"),
        (nn.Parameter(TOKENS), "the output is a Parameter, not a plain tensor"),
        (VisionOutput(TOKENS, {"deep": None}), "part 'deep' of the output is a NoneType"),  # type: ignore[dict-item]
        (VisionOutput(TOKENS, {"tokens": DEEP}), "the output has parts that are not tensors by names other than"),
        (VisionOutput(TOKENS, {1: DEEP}), "the output has parts"),  # type: ignore[dict-item]
        (VisionOutput(TOKENS, None), "the output has parts"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_is_refused(returned: Any, words: str) -> None:
    with pytest.raises(OutputError) as caught:
        unpack(returned)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_another_class_of_tensors_has_to_be_named() -> None:
    parameter = nn.Parameter(TOKENS)
    assert unpack(parameter, nn.Parameter)["tokens"] is parameter
