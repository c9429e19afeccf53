from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import vlbench
from tests.implementations.test_module_stages import GRIDS, PIXELS
from tests.towers import toys
from vlbench.errors import UsageError
from vlbench.towers.tower import Tower, mismatch

CPU, META = torch.device("cpu"), torch.device("meta")


def test_it_is_the_packages_own_name_and_imports_no_torch() -> None:
    program = "import sys, vlbench; vlbench.Tower; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert vlbench.Tower is Tower


def test_what_is_built_is_ready_for_inference() -> None:
    built = toys.staged().build(CPU, torch.float32)
    assert not built.training
    assert not any(each.requires_grad for each in built.parameters())
    assert built(PIXELS, GRIDS).shape == (1, toys.WIDTH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_given_weights_are_taken_without_a_copy(dtype: torch.dtype) -> None:
    weights = toys.Toy().to(dtype).state_dict()
    module = toys.staged().module(CPU, dtype, weights)
    assert {key: each.data_ptr() for key, each in module.state_dict().items()} == {
        key: each.data_ptr() for key, each in weights.items()
    }


def test_load_decides_how_weights_are_taken() -> None:
    toy = toys.Toy()
    built = toys.loading().build(CPU, torch.float32, toy.state_dict())
    assert torch.equal(built(PIXELS, GRIDS), toy(PIXELS, GRIDS))


def test_the_call_and_its_result_are_adapted() -> None:
    assert toys.by_name().build(CPU, torch.float32)(PIXELS, GRIDS).shape == (1, toys.WIDTH)


def test_on_meta_it_takes_no_memory() -> None:
    built = toys.staged().build(META, torch.bfloat16)
    assert {each.device.type for each in built.parameters()} == {"meta"}
    assert {each.dtype for each in built.parameters()} == {torch.bfloat16}


def test_a_stage_pattern_that_fits_nothing() -> None:
    with pytest.raises(UsageError, match=r"^tower: stages: the pattern 'layers\.\*' fits no module of Toy"):
        toys.no_stage().build(CPU, torch.float32)


def test_what_is_no_module() -> None:
    with pytest.raises(UsageError, match=r"^tower: it made a list, not a torch\.nn\.Module"):
        toys.makes_a_list().build(CPU, torch.float32)


def test_why_weights_do_not_fit() -> None:
    weights = toys.Toy().state_dict()
    assert mismatch(toys.Toy(), weights) is None
    assert mismatch(toys.Fused(), weights) == "its 'last.bias' is not among the weights (2 of 10 are not)"
    assert mismatch(toys.Toy(), weights | {"more": PIXELS}) == (
        "it has no 'more', which the weights have (1 such tensors)"
    )
    assert mismatch(toys.Toy(merge=4), weights) == "its 'merger.weight' is [16, 256], that of the weights [16, 64]"
    with pytest.raises(UsageError, match=r"is not among the weights .*; give `load` in its vlbench\.Tower"):
        Tower(lambda device, dtype: toys.Fused()).build(CPU, torch.float32, weights)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"make": 3}, "vlbench.Tower: make is 3, which cannot be called; give a function"),
        ({"load": "weights"}, "vlbench.Tower: load is 'weights', which cannot be called"),
        ({"tokens": 1.5}, "vlbench.Tower: tokens is 1.5"),
        ({"model": "nope"}, "vlbench.Tower: there is no model 'nope'; choose one of qwen2-vl-2b"),
        ({"model": "x" * 5000}, "vlbench.Tower: there is no model 'xxx"),
        ({"prepare": lambda grid_thw: {}}, "vlbench.Tower: prepare takes (grid_thw); write it as prepare("),
        ({"preprocessing": 384}, "vlbench.Tower: preprocessing is 384; give a vlbench.Preprocessing"),
    ],
)
def test_a_field_that_cannot_be_used_is_refused_at_construction(fields: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tower(**{"make": toys.images_of, **fields})  # type: ignore[arg-type]
    assert str(caught.value).startswith(told)
    assert len(str(caught.value)) < 600


def test_a_make_that_ends_the_process_is_refused() -> None:
    def make(device: object, dtype: object) -> None:
        raise SystemExit(3)

    with pytest.raises(UsageError, match="building it ended with SystemExit: 3; return a module"):
        Tower(make).build(CPU, torch.float32)  # type: ignore[arg-type]
