from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.implementations.towers import (
    NARROW,
    NARROW_2,
    NARROW_2_5,
    NARROW_3,
    NARROW_3_5,
    name_of,
    pixels_of,
    run,
    weights_of,
)
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import preset_flags
from vlbench.implementations.stage import listen, stage

BATCH = ((1, 6, 10), (2, 8, 8))


class Recorder:
    """The stages as indented lines, and those that are open now."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name = name
        self.log: list[str] = [] if log is None else log
        self.lines: list[str] = []
        self.open: list[str] = []

    def enter(self, name: str) -> None:
        self.lines.append("  " * len(self.open) + name)
        self.open.append(name)
        self.log.append(f"{self.name} enters {name}")

    def exit(self, name: str) -> None:
        assert self.open.pop() == name
        self.log.append(f"{self.name} leaves {name}")


def blocks(depth: int) -> list[str]:
    return [f"  block[{index}].{half}" for index in range(depth) for half in ("attention", "mlp")]


LEARNED = ["forward", "  plan", "    rope", "    positions", "  patch_embed", "  positions"]
STAGES = {
    NARROW_2: ["forward", "  plan", "    rope", "  patch_embed", *blocks(2), "  merger"],
    NARROW_2_5: [
        "forward",
        "  plan",
        "    window_order",
        "    rope",
        "  patch_embed",
        "  window_order",
        *blocks(3),
        "  merger",
        "  restore_order",
    ],
    NARROW_3: [*LEARNED, *blocks(1), "  deepstack", *blocks(2)[2:], "  deepstack", "  merger"],
    NARROW_3_5: [*LEARNED, *blocks(2), "  merger"],
}


def towers(config: VisionConfig) -> list[nn.Module]:
    best, _ = preset_flags("best", config, "cpu")
    return [build_tower(config, flags, weights_of(config)) for flags in (None, (), best)]


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_the_stages_of_a_forward(config: VisionConfig) -> None:
    for tower in towers(config):
        recorder = Recorder()
        with listen(recorder):
            run(tower, config, BATCH)
        assert recorder.lines == STAGES[config]
        assert recorder.open == []


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_every_stage_is_left_when_the_forward_fails(config: VisionConfig) -> None:
    for tower in towers(config):
        recorder = Recorder()
        with listen(recorder), pytest.raises(RuntimeError), torch.no_grad():
            tower(pixels_of(config, BATCH), torch.tensor([(1, 2, 2)]))  # pixels of another batch
        assert "forward" in recorder.lines
        assert recorder.open == []


def test_without_a_listener_a_stage_is_one_shared_object() -> None:
    assert stage("rope") is stage("plan")
    with stage("rope") as nothing:
        assert nothing is None


def test_a_listener_is_told_only_inside_its_block() -> None:
    recorder = Recorder()
    with stage("before"):
        pass
    with listen(recorder), stage("inside"):
        pass
    with stage("after"):
        pass
    assert recorder.lines == ["inside"]


def test_the_listener_added_last_is_entered_last_and_left_first() -> None:
    log: list[str] = []
    with listen(Recorder("outer", log)), listen(Recorder("inner", log)), stage("rope"):
        pass
    assert log == ["outer enters rope", "inner enters rope", "inner leaves rope", "outer leaves rope"]


def test_a_listener_stops_when_its_block_fails() -> None:
    with pytest.raises(KeyError), listen(Recorder()):
        raise KeyError
    assert stage("rope") is stage("plan")
