from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.implementations.grids import Batch
from tests.implementations.towers import NARROW_2_5, pixels_of, run, weights_of
from vlbench.implementations import build_tower
from vlbench.record.schema import Counts
from vlbench.trial.counts import count, is_compiled

MIXED = ((1, 10, 6), (2, 8, 10), (1, 8, 8))
FOUR_WINDOWS = ((1, 16, 16),)

x = torch.ones(2, 4, 8)
square, bias = torch.ones(8, 8), torch.ones(8)


@pytest.mark.parametrize(
    ("call", "operations", "attention_calls"),
    [
        (lambda: x + x, 1, 0),
        (lambda: x.clone().add_(1).mul_(2), 3, 0),
        (lambda: x.view(8, 8).transpose(0, 1)[:3].unsqueeze(0).expand(5, 3, 8), 0, 0),
        (lambda: torch.empty(3), 0, 0),
        (lambda: torch.empty_like(x).copy_(x), 1, 0),
        (lambda: F.linear(square, square, bias), 1, 0),
        (lambda: F.scaled_dot_product_attention(x[None], x[None], x[None]), 1, 1),
        (lambda: bias.sum().item(), 2, 0),
    ],
    ids=["one", "in place", "views", "allocation", "copy", "linear", "attention", "read-back"],
)
def test_what_is_counted(call: Callable[[], object], operations: int, attention_calls: int) -> None:
    assert count(call) == Counts(aten_operations=operations, attention_calls=attention_calls)


def tower_counts(flags: tuple[str, ...] | None, batch: Batch = MIXED) -> Counts:
    """Of a warm forward, ten times over."""
    tower = build_tower(NARROW_2_5, flags, weights_of(NARROW_2_5))
    pixels, grids = pixels_of(NARROW_2_5, batch), torch.tensor(batch)
    tower(pixels, grids)
    counts = {count(lambda: tower(pixels, grids)) for _ in range(10)}
    assert len(counts) == 1
    return counts.pop()


def test_counts_are_the_same_on_every_run_and_without_flags_those_of_the_reference_tower() -> None:
    reference_tower, plain = tower_counts(None), tower_counts(())
    assert reference_tower == plain
    assert reference_tower.attention_calls > NARROW_2_5.depth


def test_batched_windows_ask_for_fewer_attention_calls() -> None:
    """Of three layers one attends over the whole image, and the image has four equal windows."""
    before = tower_counts(("host-seqlens",), FOUR_WINDOWS)
    after = tower_counts(("host-seqlens", "batched-windows"), FOUR_WINDOWS)
    assert (before.attention_calls, after.attention_calls) == (2 * 4 + 1, 2 + 1)


def test_caches_ask_for_fewer_operations() -> None:
    assert tower_counts(("rope-cache",)).aten_operations < tower_counts(()).aten_operations


def test_counting_does_not_change_the_result() -> None:
    tower = build_tower(NARROW_2_5, (), weights_of(NARROW_2_5))
    wanted = run(tower, NARROW_2_5, MIXED)
    outputs: list[torch.Tensor] = []
    count(lambda: outputs.append(tower(pixels_of(NARROW_2_5, MIXED), torch.tensor(MIXED))))
    assert torch.equal(outputs[0], wanted)


def test_compiled_towers_are_told_apart() -> None:
    def toy() -> nn.Sequential:
        return nn.Sequential(nn.Linear(2, 2))

    inside, in_place = toy(), toy()
    inside[0].forward = torch.compile(inside[0].forward)
    in_place[0].compile()
    assert not is_compiled(toy())
    assert all(is_compiled(each) for each in (inside, in_place, nn.Sequential(torch.compile(toy()))))
