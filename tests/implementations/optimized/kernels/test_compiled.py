"""The kernels, compiled for GPUs that need not be there, ask for no more than what is stored."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="triton is not installed: pip install 'vlbench[triton]'")

from tests.implementations.optimized.kernels.compiled import ARCHITECTURES, KERNELS, TABLE, needs
from tests.implementations.optimized.kernels.kernel_files import Edit

COMPUTES_ANGLES = "angles 80"
"""cos and sin of CUDA's library have a stack for angles beyond 105,615, which no position has."""
DIVIDE_OR_CALL = (COMPUTES_ANGLES, "positions bfloat16 1152")
"""A division and CUDA's library are sums of products, fused by design."""
HALF_HEADS_OF_72_BYTES = "rotation bfloat16 72"


def stored() -> dict[str, dict[str, dict[str, Any]]]:
    if not TABLE.is_file():
        pytest.skip(f"no table for this Triton: python -m {needs.__module__} writes {TABLE.name}")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(TABLE.read_text())
    return found


def wide(accesses: dict[str, int]) -> float:
    """The share of accesses of 16 bytes or more."""
    return sum(count for bits, count in accesses.items() if int(bits) >= 128) / sum(accesses.values())


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", KERNELS)
def test_a_compiled_kernel_needs_what_is_stored(
    name: str, arch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert needs(name, arch, monkeypatch, tmp_path) == stored()[name][f"sm_{arch}"]


@pytest.mark.parametrize("name", KERNELS)
def test_no_kernel_that_is_stored_spills_fuses_or_moves_little_at_once(name: str) -> None:
    for arch in ARCHITECTURES:
        found = stored()[name][f"sm_{arch}"]
        assert found["spills"] == 0
        assert found["registers"] <= 64
        assert (found["ffma"] > 0) == (name in DIVIDE_OR_CALL)
        assert (found["stack"] > 0) == (name == COMPUTES_ANGLES)
        if name not in (COMPUTES_ANGLES, HALF_HEADS_OF_72_BYTES):
            assert wide(found["stores"]) == 1
            assert wide(found["loads"]) > 0.5


def without_hints(source: str) -> str:
    """Triton may no longer see by what numbers and addresses are divided, and what is 1."""
    kernel = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)][-1]
    names = [each.arg for each in kernel.args.args if each.annotation is None]
    hidden = f"@triton.jit(do_not_specialize={names}, do_not_specialize_on_alignment={names})"
    return source.replace(f"@triton.jit\ndef {kernel.name}", f"{hidden}\ndef {kernel.name}")


def fused(source: str) -> str:
    """As it would be with a fused multiply-add."""
    return source.replace("first * cosine - second * sine", "tl.fma(first, cosine, -(second * sine))")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rotation bfloat16 80", "positions bfloat16 1152", "norms bfloat16 1280 rms, sum"])
def test_a_kernel_without_the_hints_of_divisibility_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, known = needs(name, 90, monkeypatch, tmp_path, without_hints), stored()[name]["sm_90"]
    assert wide(found["stores"]) < wide(known["stores"])
    assert found != known


@pytest.mark.slow
@pytest.mark.parametrize(("edit", "more"), [(fused, "ffma")])
def test_a_kernel_that_fuses_is_caught(edit: Edit, more: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = needs("rotation bfloat16 80", 90, monkeypatch, tmp_path, edit)
    assert found[more] > stored()["rotation bfloat16 80"]["sm_90"][more]
