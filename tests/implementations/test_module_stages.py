from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.implementations.test_stage import Recorder
from tests.towers.toys import STAGES, Toy
from vlbench.implementations.adapted import marked, match_modules
from vlbench.implementations.stage import listen

PIXELS, GRIDS = torch.randn(4, 1176), torch.tensor([(1, 2, 2)])


def hooks(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


def test_a_star_is_one_part_of_a_name_and_fills_the_stage() -> None:
    assert match_modules(Toy(), STAGES) == {
        "patch_embed": "patch_embed",
        "blocks.0.mlp": "block[0].mlp",
        "blocks.1.mlp": "block[1].mlp",
        "blocks.2.mlp": "block[2].mlp",
        "merger": "merger",
    }


def test_the_first_pattern_that_fits_counts() -> None:
    found = match_modules(Toy(), {"blocks.0": "first", "blocks.*": "block[{}]"})
    assert found == {"blocks.0": "first", "blocks.1": "block[1]", "blocks.2": "block[2]"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"block.*.mlp": "mlp"}, "the pattern 'block.*.mlp' fits no module of Toy"),
        ({"*.mlp": "mlp"}, "fits no module"),  # a star does not reach over a dot
        ({"blocks.*": "block[{}].{}"}, "asks for more than its pattern 'blocks.*' has"),
        ({"merger": "{index}"}, "asks for more"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(names: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match="stages: ") as caught:
        match_modules(Toy(), names)
    assert words in str(caught.value)


def test_stages_are_heard_in_order_and_hooks_are_gone_after() -> None:
    toy, recorder = Toy(), Recorder()
    with listen(recorder), marked(toy, match_modules(toy, STAGES | {"blocks.*": "block[{}]"})):
        assert hooks(toy) > 0
        toy(PIXELS, GRIDS)
    blocks = [line for index in range(3) for line in (f"block[{index}]", f"  block[{index}].mlp")]
    assert recorder.lines == ["patch_embed", *blocks, "merger"]
    assert recorder.open == []
    assert hooks(toy) == 0


def test_a_stage_is_left_when_its_module_raises() -> None:
    toy, recorder = Toy(), Recorder()
    with listen(recorder), pytest.raises(RuntimeError), marked(toy, match_modules(toy, STAGES)):
        toy.merger(torch.zeros(3))
    assert recorder.lines == ["merger"]
    assert recorder.open == []
    assert hooks(toy) == 0


def test_a_module_inside_itself() -> None:
    class Nested(nn.Module):
        def forward(self, depth: int) -> int:
            return depth and self(depth - 1)

    outer = nn.Sequential(Nested())
    recorder = Recorder()
    with listen(recorder), marked(outer, {"0": "again"}):
        outer(2)
    assert recorder.lines == ["again", "  again", "    again"]
    assert recorder.open == []
