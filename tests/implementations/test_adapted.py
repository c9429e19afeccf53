from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.implementations.test_module_stages import GRIDS, PIXELS, hooks
from tests.implementations.test_stage import Recorder
from tests.towers.toys import STAGES, ByName, Toy
from vlbench.implementations.adapted import AdaptedTower
from vlbench.implementations.stage import listen


def test_the_default_call_is_that_of_qwen_vl() -> None:
    toy = Toy()
    assert torch.equal(AdaptedTower(toy)(PIXELS, GRIDS), toy(PIXELS, GRIDS))


def test_the_grid_goes_to_where_the_pixels_are() -> None:
    seen: list[Tensor] = []

    class Looks(torch.nn.Module):
        def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
            seen.append(grid_thw)
            return pixels

    AdaptedTower(Looks())(PIXELS.to("meta"), GRIDS)
    assert seen[0].device.type == "meta"


def test_arguments_by_name_and_tokens_out_of_a_result() -> None:
    module = ByName()
    tower = AdaptedTower(
        module,
        lambda pixels, grid_thw: {"images": pixels, "sizes": grid_thw.tolist()},
        lambda returned: returned.tokens,
    )
    assert torch.equal(tower(PIXELS, GRIDS), Toy.forward(module, PIXELS, GRIDS))


def test_stages_while_somebody_listens() -> None:
    tower, recorder = AdaptedTower(Toy(), stages=STAGES), Recorder()
    with listen(recorder):
        heard = tower(PIXELS, GRIDS)
    assert recorder.lines == ["forward", "  patch_embed", *(f"  block[{i}].mlp" for i in range(3)), "  merger"]
    assert torch.equal(heard, tower(PIXELS, GRIDS))
    assert hooks(tower) == 0


def test_without_a_listener_no_hook_is_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = AdaptedTower(Toy(), stages=STAGES)
    seen: list[int] = []
    forward = Toy.forward

    def watched(self: Toy, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        seen.append(hooks(tower))
        return forward(self, pixels, grid_thw)

    monkeypatch.setattr(Toy, "forward", watched)
    tower(PIXELS, GRIDS)
    with listen(Recorder()):
        tower(PIXELS, GRIDS)
    assert seen == [0, 2 * 5]


def test_a_tower_that_marks_its_own_stages_gets_none() -> None:
    recorder = Recorder()
    with listen(recorder):
        AdaptedTower(Toy(), stages=None)(PIXELS, GRIDS)
    assert recorder.lines == []
