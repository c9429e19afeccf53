from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.implementations.test_module_stages import GRIDS, PIXELS, hooks
from tests.implementations.test_stage import Recorder
from tests.towers.toys import STAGES, ByName, Toy
from vlbench.implementations.adapted import AdaptedTower, Arguments, HandedIn, Prepare, handed_over
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


class TakesSums(torch.nn.Module):
    """Scales by the sum of its grids, which a call may bring."""

    def forward(self, pixels: Tensor, grid_thw: Tensor, total: Tensor | None = None) -> Tensor:
        return pixels * (grid_thw.sum() if total is None else total)


def sums(module: torch.nn.Module, grid_thw: Tensor, host_lengths: bool) -> dict[str, Tensor]:
    total = grid_thw.sum()
    return {"total": total.cpu() if host_lengths else total}


@pytest.mark.parametrize("arguments", [None, lambda pixels, grid_thw: {"pixels": pixels, "grid_thw": grid_thw}])
def test_what_follows_from_the_grids_is_handed_in_by_name(arguments: Arguments | None) -> None:
    tower = AdaptedTower(TakesSums(), arguments, stages={}, prepare=sums)
    plan = tower.plan(GRIDS)
    assert torch.equal(tower(PIXELS, GRIDS, plan=plan), PIXELS * GRIDS.sum())
    assert torch.equal(tower(PIXELS, GRIDS, plan={"total": torch.tensor(2)}), 2 * PIXELS)
    assert torch.equal(tower(PIXELS, GRIDS), PIXELS * GRIDS.sum())


def test_without_a_way_to_prepare_there_is_no_plan() -> None:
    with pytest.raises(TypeError, match="Toy takes no plan"):
        AdaptedTower(Toy()).plan(GRIDS)


@pytest.mark.parametrize("host_lengths", [False, True])
def test_handed_in_makes_the_plan_where_the_grids_are_taken(host_lengths: bool) -> None:
    tower = HandedIn(AdaptedTower(TakesSums(), prepare=sums), host_lengths=host_lengths)
    there = handed_over(tower, PIXELS.to("meta"), GRIDS)
    assert there.device.type == "meta"
    assert tower.caches() == {}
    recorder = Recorder()
    with listen(recorder):
        assert torch.equal(tower(PIXELS, GRIDS), PIXELS * GRIDS.sum())
    assert recorder.lines == ["plan"]
    assert torch.equal(tower(PIXELS, GRIDS, plan={"total": torch.tensor(3)}), 3 * PIXELS)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda module, grid_thw, host_lengths: None, "prepare gave a NoneType; it must give a dict of what the call"),
        (lambda module, grid_thw, host_lengths: {}, "prepare gave an empty dict"),
        (lambda module, grid_thw, host_lengths: [1, 2], "prepare gave a list"),
        (lambda module, grid_thw, host_lengths: {"pixels": None}, "multiple values for argument 'pixels'; prepare"),
        (lambda module, grid_thw, host_lengths: {"nosuch": 1}, "TakesSums with a plan of nosuch: got an unexpected"),
        (lambda module: {}, r"prepare takes \(module\); write it as prepare\(module, grid_thw, host_lengths\)"),
    ],
)
def test_what_is_no_plan_for_a_call_is_refused_by_what_prepare_must_give(prepare: Prepare, told: str) -> None:
    tower = HandedIn(AdaptedTower(TakesSums(), prepare=prepare), host_lengths=False)
    with pytest.raises(TypeError, match=told) as refused:
        tower(PIXELS, GRIDS)
    assert "\n" not in str(refused.value)


def test_what_arguments_gives_already_is_named() -> None:
    by_name: Arguments = lambda pixels, grid_thw: {"pixels": pixels, "grid_thw": grid_thw}  # noqa: E731
    tower = AdaptedTower(TakesSums(), by_name, prepare=sums)
    with pytest.raises(TypeError, match="the plan has 'grid_thw', which is an argument of the call already; prepare"):
        tower(PIXELS, GRIDS, plan={"grid_thw": GRIDS})
    with pytest.raises(TypeError, match="the plan is a Tensor; prepare must give a dict"):
        tower(PIXELS, GRIDS, plan=torch.ones(3))


def test_a_type_error_of_the_module_itself_stays_what_it_is() -> None:
    class Raises(torch.nn.Module):
        def forward(self, pixels: Tensor, grid_thw: Tensor, total: Tensor | None = None) -> Tensor:
            raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        AdaptedTower(Raises(), prepare=sums)(PIXELS, GRIDS, plan={"total": GRIDS})


def test_lengths_that_are_the_same_on_the_host_are_no_row_of_their_own() -> None:
    there = GRIDS.to("meta")

    def kept(module: torch.nn.Module, grid_thw: Tensor, host_lengths: bool) -> dict[str, object]:
        return {"total": GRIDS if host_lengths and moves else grid_thw, "more": [1, 2]}

    for moves, prepare in ((False, kept), (True, kept), (False, lambda module, grid_thw: {"total": grid_thw})):
        for host_lengths in (False, True):
            tower = HandedIn(AdaptedTower(TakesSums(), prepare=prepare), host_lengths=host_lengths)
            if host_lengths and not moves:
                with pytest.raises(TypeError, match="prepare gives the same with host_lengths as without; put the"):
                    tower.check_lengths(there)
            else:
                tower.check_lengths(there)
