from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, strategies as st

from tests.implementations.towers import NARROW, name_of, pixels_of, weights_of
from vlbench.export.result_tables import STAGES
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.stage import listen, stage
from vlbench.profiling.clock import StageClock


@dataclass
class Node:
    """A stage: its own work, and other stages between it."""

    name: str
    parts: list[int | Node]


names = st.sampled_from(["forward", "plan", "block[0].mlp", "block[31].mlp", "block[2].attention", "mlp"])
work = st.integers(0, 50)
trees: st.SearchStrategy[Node] = st.recursive(
    st.builds(Node, names, st.lists(work, max_size=2)),
    lambda inner: st.builds(Node, names, st.lists(work | inner, max_size=3)),
    max_leaves=8,
)


def self_time(node: Node, into: Counter[str]) -> Counter[str]:
    """What each stage has to get, worked out without a clock."""
    for part in node.parts:
        if isinstance(part, Node):
            self_time(part, into)
        else:
            into[node.name.rpartition("].")[2]] += part
    return into


@given(st.lists(trees, max_size=3))
def test_each_stage_gets_its_own_time_without_the_stages_inside_it(forest: list[Node]) -> None:
    now = 0.0

    def run(node: Node) -> None:
        nonlocal now
        with stage(node.name):
            for part in node.parts:
                if isinstance(part, Node):
                    run(part)
                else:
                    now += part

    clock = StageClock()
    wanted: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch, listen(clock):
        patch.setattr(time, "perf_counter", lambda: now)
        for node in forest:
            now += 1000  # nobody's time
            run(node)
            self_time(node, wanted)
    assert {name: charge.own for name, charge in clock.times().items() if charge.own} == dict(+wanted)


def test_every_border_is_synchronized() -> None:
    called: list[int] = []
    with listen(StageClock(lambda: called.append(1))), stage("a"), stage("b"):
        pass
    assert len(called) == 4


@pytest.mark.parametrize("config", NARROW, ids=name_of)
@pytest.mark.parametrize("flags", [None, ()], ids=["reference_tower", "optimized"])
def test_the_stage_table_has_a_column_for_every_stage_of_a_tower(
    config: VisionConfig, flags: tuple[str, ...] | None
) -> None:
    batch = ((2, 8, 10), (1, 4, 6))
    tower, clock = build_tower(config, flags, weights_of(config)), StageClock()
    with listen(clock), torch.inference_mode():
        tower(pixels_of(config, batch), torch.tensor(batch))
    known = {name for names in STAGES.values() for name in names}
    assert {"forward", "plan", "patch_embed", "attention", "mlp", "merger"} <= clock.times().keys() <= known
