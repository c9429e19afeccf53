from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlbench.implementations.output import OutputError, VisionOutput, unpack
from vlbench.towers.stage_relay import StageForwardingTower


@dataclass
class Theirs:
    """The VisionOutput of another revision."""

    tokens: Tensor
    parts: dict[str, Tensor]


class Gives(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return self.output


def relayed(output: Any, kind: type | None) -> Any:
    return StageForwardingTower(Gives(output), lambda relay: nullcontext(), kind)(torch.ones(1), torch.ones(1))


def test_the_output_of_another_revision_becomes_ours() -> None:
    tokens, deep = torch.ones(2), torch.zeros(2)
    output = relayed(Theirs(tokens, {"deep": deep}), Theirs)
    assert type(output) is VisionOutput
    assert unpack(output)["deep"] is deep
    assert relayed(tokens, Theirs) is tokens


def test_what_is_no_output_there_is_none_here() -> None:
    for kind in (None, Theirs):
        with pytest.raises(OutputError, match="is a tuple, not a plain tensor"):
            unpack(relayed((torch.ones(2),), kind))
