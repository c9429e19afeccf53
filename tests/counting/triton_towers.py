"""Towers that launch Triton kernels: one that was declared, one that was not, and one that asks the driver first."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from tests.counting.toy_towers import Toy
from vlbench.counting_device import declare


@triton.jit
def _double(x, out, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + here, tl.load(x + here, mask=here < n) * 2, mask=here < n)


@triton.autotune([triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 128})], key=["n"])
@triton.heuristics({"EVEN": lambda arguments: arguments["n"] % arguments["BLOCK"] == 0})
@triton.jit
def double_tuned(x, out, n, EVEN: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(out + here, tl.load(x + here) * 2)
    else:
        tl.store(out + here, tl.load(x + here, mask=here < n) * 2, mask=here < n)


declare("triton::double_tuned", writes=("out",))


class Undeclared(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        out = torch.empty_like(x)
        _double[(triton.cdiv(x.numel(), 64),)](x, out, x.numel(), BLOCK=64)
        return out


class Declared(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        out = torch.empty_like(x)
        double_tuned[lambda meta: (triton.cdiv(x.numel(), meta["BLOCK"]),)](x, out, x.numel())
        return out


class AsksTheDriver(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        driver = triton.runtime.driver.active
        programs = driver.utils.get_device_properties(driver.get_current_device())["multiprocessor_count"]
        return x + programs if driver.get_current_target().arch >= 90 else x
