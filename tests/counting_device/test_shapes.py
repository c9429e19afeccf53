"""What is remembered of meta kernels, against the kernels themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vlbench.counting_device.shapes import Shapes

aten = torch.ops.aten


def meta(*shape: int, dtype: torch.dtype = torch.bfloat16, turned: bool = False) -> Tensor:
    made = torch.empty(shape[::-1] if turned else shape, dtype=dtype, device="meta")
    return made.T if turned else made


def forms(result: Any) -> list[tuple[Any, ...]]:
    results = result if isinstance(result, list | tuple) else [result]
    return [(each.shape, each.stride(), each.dtype, each.untyped_storage().nbytes()) for each in results]


X, WIDE, BIAS = meta(6, 8), meta(8, 12), meta(12)
CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "addmm": (aten.addmm.default, (BIAS, X, WIDE)),
    "addmm of one row": (aten.addmm.default, (BIAS, meta(1, 8), WIDE)),
    "addmm of a transposed weight": (aten.addmm.default, (BIAS, X, meta(8, 12, turned=True))),
    "addmm with a whole matrix": (aten.addmm.default, (meta(6, 12), X, WIDE)),
    "addmm of other dtypes": (aten.addmm.default, (meta(12, dtype=torch.float32), X, WIDE)),
    "layer norm": (aten.native_layer_norm.default, (X, [8], meta(8), meta(8), 1e-6)),
    "layer norm without a bias": (aten.native_layer_norm.default, (X, [8], meta(8), None, 1e-6)),
    "layer norm of two dimensions": (aten.native_layer_norm.default, (meta(3, 6, 8), [6, 8], None, None, 1e-6)),
    "layer norm in fp64": (aten.native_layer_norm.default, (meta(6, 8, dtype=torch.float64), [8], None, None, 1e-6)),
    "layer norm of fp32 weights": (
        aten.native_layer_norm.default,
        (X, [8], meta(8, dtype=torch.float32), meta(8, dtype=torch.float32), 1e-6),
    ),
    "layer norm of a transposed": (aten.native_layer_norm.default, (meta(6, 8, turned=True), [8], None, None, 1e-6)),
    "layer norm of nothing": (aten.native_layer_norm.default, (meta(0, 8), [8], None, None, 1e-6)),
    "mul": (aten.mul.Tensor, (X, meta(8, dtype=torch.float32))),
    "mul of a transposed": (aten.mul.Tensor, (meta(6, 8, turned=True), 2.0)),
    "cat": (aten.cat.default, ([X, X], 1)),
    "convolution": (
        aten.convolution.default,
        (meta(2, 3, 8, 8), meta(5, 3, 2, 2), None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1),
    ),
    "max": (aten.max.dim, (X, 1)),
    "full": (aten.full_like.default, (X, 1)),
    "view": (aten.view.default, (X, [8, 6])),
    "unsafe view": (aten._unsafe_view.default, (X, [8, 6])),
    "split": (aten.split.Tensor, (X, 2)),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_remembered_is_what_the_kernel_gives(name: str) -> None:
    func, args = CALLS[name]
    shapes, wanted = Shapes(), forms(func(*args))
    first, again = (shapes.of(func, *args) for _ in range(2))
    assert forms(first) == forms(again) == wanted
    assert type(first) is type(again) is type(func(*args))
    made = [each for result in (first, again) for each in (result if isinstance(result, list | tuple) else [result])]
    memories = [each.untyped_storage()._cdata for each in made]
    is_view = name in ("view", "unsafe view", "split")
    assert set(memories) == {X.untyped_storage()._cdata} if is_view else len(set(memories)) == len(memories)


def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of torch's kernels, without what these call."""
    asked: list[str] = []
    real = type(aten.mul.Tensor).__call__

    def call(func: Any, /, *args: Any, **kwargs: Any) -> Any:
        if func.namespace == "aten":
            asked.append(func.name())
        return real(func, *args, **kwargs)

    monkeypatch.setattr(type(aten.mul.Tensor), "__call__", call)
    return asked


def test_a_kernel_is_asked_once_for_operands_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, shapes = seen(monkeypatch), Shapes()
    for other in (2.0, 2.0, 3.0, meta(8), meta(8), meta(1), 2, True):  # 2 and 2.0 are equal, and make other dtypes
        shapes.of(aten.mul.Tensor, X, other)
    assert len(asked) == 6
    before = torch.get_default_dtype()
    for dtype in (before, torch.float64, before):
        torch.set_default_dtype(dtype)
        try:
            assert shapes.of(aten.div.Tensor, meta(3, dtype=torch.int64), 2).dtype == dtype
        finally:
            torch.set_default_dtype(before)
    assert len(asked) == 8


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (aten.mul_.Tensor, (X, 2.0)),
        (aten._unsafe_view.default, (X, [8, 6])),
        (aten.mul.Tensor, (meta(3, dtype=torch.complex64).conj(), 2.0)),
    ],
)
def test_what_writes_or_gives_memory_of_others_is_asked_each_time(
    func: Callable[..., Any], args: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, shapes = seen(monkeypatch), Shapes()
    for _ in range(3):
        shapes.of(func, *args)  # type: ignore[arg-type]
    assert len(asked) == 3


@pytest.mark.parametrize("args", [(BIAS, X, meta(9, 12)), (meta(7), X, WIDE), (BIAS, meta(8), WIDE)])
def test_what_the_kernel_refuses_is_refused_each_time(args: tuple[Any, ...]) -> None:
    shapes = Shapes()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            shapes.of(aten.addmm.default, *args)


@pytest.mark.slow
def test_to_record_operations_imports_no_compiler() -> None:
    program = (
        "import sys, torch\n"
        "from vlbench.counting_device.steps import steps_taken\n"
        "with steps_taken() as steps:\n"
        "    torch.nn.Linear(8, 8)(torch.ones(2, 8))\n"
        "print(bool(steps), 'torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
