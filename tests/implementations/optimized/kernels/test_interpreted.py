"""The kernels, run by the interpreter of Triton, against fp64 and plain torch; and what becomes of a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed: pip install 'vlbench[triton]'")

import torch

from tests.implementations.optimized.kernels.cases import CASES, noise
from tests.implementations.optimized.kernels.kernel_files import Edit, interpreted, sources
from vlbench.implementations.optimized.kernels import norms, rotation

SMALL = {"rotation": "rotation-80", "angles": "angles-72", "positions": "positions-24", "norms": "norms-layer"}
"""The case that each file of kernels is tried with."""
MASK = re.compile(r", mask=[^,)]+(?:, other=[^,)]+)?")


@pytest.mark.parametrize(
    "dtype", [torch.float32, *(pytest.param(each, marks=pytest.mark.slow) for each in (torch.float16, torch.bfloat16))]
)
@pytest.mark.parametrize("name", CASES)
def test_a_kernel_is_right_to_the_last_place(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with interpreted(monkeypatch, tmp_path) as watched:
        CASES[name].check(watched, dtype)


@pytest.mark.parametrize("centred", [True, False])
def test_a_norm_alone(centred: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x, weight, bias = noise(3, 80, seed=1) + 3, noise(80, seed=2), noise(80, seed=3) if centred else None
    with interpreted(monkeypatch, tmp_path) as watched:
        found = norms.normalise_on_gpu(x, weight, bias, 1e-6)
    torch.testing.assert_close(found, norms.normalise_plainly(x, weight, bias, 1e-6), atol=4e-6, rtol=4e-6)
    assert watched.moved == (2 + 1 + centred) * 3 * 80 * 4


def test_v_stays_and_rows_may_lie_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wide, angle = noise(4, 3 * 64 + 5), noise(4, 32)
    before = wide.clone()
    with interpreted(monkeypatch, tmp_path):
        rotation.turn_on_gpu(wide[:, : 3 * 64], angle.cos(), angle.sin(), 1)
    assert torch.equal(wide[:, 128:], before[:, 128:])
    assert not torch.equal(wide[:, :128], before[:, :128])


def test_no_patch_is_no_launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with interpreted(monkeypatch, tmp_path) as watched:
        rotation.turn_on_gpu(noise(0, 240), noise(0, 40), noise(0, 40), 1)
        norms.add_and_normalise_on_gpu(noise(0, 8), noise(0, 8), noise(8), None, 1e-6)
    assert watched.moved == 0


# A kernel that is wrong.

MASKS = [(file, number) for file, text in sources().items() for number in range(len(MASK.findall(text)))]


def without_mask(number: int) -> Edit:
    def edit(source: str) -> str:
        found = list(MASK.finditer(source))[number]
        return source[: found.start()] + source[found.end() :]

    return edit


def swapped(one: str, other: str) -> Edit:
    return lambda source: source.replace(one, "\0").replace(other, one).replace("\0", other)


def is_caught(name: str, edit: Edit, monkeypatch: pytest.MonkeyPatch, folder: Path) -> bool:
    case, result = CASES[name], []
    with interpreted(monkeypatch, folder, edit) as watched:
        try:
            case.check(watched, torch.float32)
        except Exception as error:  # of the interpreter too, which has its own
            result.append(error)
    return bool(result)


def test_there_are_masks_to_remove() -> None:
    assert {file for file, _ in MASKS} == set(SMALL) == set(sources())
    assert len(MASKS) == sum(text.count("mask=") for text in sources().values())


@pytest.mark.slow
@pytest.mark.parametrize(("file", "number"), MASKS)
def test_a_kernel_that_lost_a_mask_is_caught(
    file: str, number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert is_caught(SMALL[file], without_mask(number), monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "one", "other"),
    [
        ("rotation", "cos + patch", "sin + patch"),
        ("rotation", "cosine - second", "cosine + second"),
        ("angles", "tl.cos", "tl.sin"),
        ("angles", "row, column)", "column, row)"),
        ("positions", "* near_left)", "* near_right)"),
        ("positions", "tl.floor", "tl.ceil"),
        ("norms", "out + start", "total + start"),
    ],
)
def test_a_kernel_that_swaps_what_it_is_given_is_caught(
    file: str, one: str, other: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert is_caught(SMALL[file], swapped(one, other), monkeypatch, tmp_path)
