"""Real Triton kernels, launched as anyone does, on a device that only counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from vlbench.counting_device import CountingDevice, GhostValueError, declarations, declare
from vlbench.errors import UsageError
from vlbench.record.counts import Counts

pytest.importorskip("triton")

import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def shift(x, out, n, by=1, BLOCK: tl.constexpr = 64):  # type: ignore[no-untyped-def]  # noqa: N803
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + here, tl.load(x + here, mask=here < n) + by, mask=here < n)


def clear(arguments: dict[str, Any]) -> None:
    arguments["out"].zero_()


CONFIGS = [triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 128}, num_warps=8)]
tuned = triton.autotune(CONFIGS, key=["n"])(shift)
by_rule = triton.heuristics({"BLOCK": lambda arguments: triton.next_power_of_2(arguments["n"])})(shift)
rule_in_tuned = triton.autotune(CONFIGS, key=["n"])(
    triton.heuristics({"by": lambda arguments: int(arguments["n"] % arguments["BLOCK"] == 0)})(shift)
)
cleared = triton.autotune([triton.Config({"BLOCK": 64}, pre_hook=clear), *CONFIGS], key=["n"])(shift)


def grid(meta: dict[str, Any]) -> tuple[int]:
    return (triton.cdiv(meta["n"], meta["BLOCK"]),)


@pytest.fixture(autouse=True)
def _own_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))


def counts(call: Callable[[torch.Tensor, torch.Tensor], object], dtype: torch.dtype = torch.bfloat16) -> Counts:
    """Of `call(x, out)` on four elements each."""
    with CountingDevice("ghost") as device, torch.inference_mode():
        x, out = (device.upload(torch.arange(4).to(dtype)) for _ in range(2))
        with device.count() as counter:
            call(x, out)
    return counter.report


LAUNCHES = {
    "positional": lambda x, out: shift[(1,)](x, out, 4, 1, 64),
    "by name": lambda x, out: shift[(1, 2, 3)](n=4, x=x, out=out, num_warps=8),
    "grid of a function": lambda x, out: shift[grid](x, out, 4),
    "autotuned": lambda x, out: tuned[grid](x, out, 4),
    "heuristics": lambda x, out: by_rule[grid](x, out, 4),
    "heuristics in autotuned": lambda x, out: rule_in_tuned[grid](x, out, 4),
    "wrap_triton": lambda x, out: torch.library.wrap_triton(shift)[(1,)](x, out, 4),
    "reinterpreted": lambda x, out: shift[(1,)](triton.reinterpret(x, tl.float16), out, 4),
    "descriptor": lambda x, out: shift[(1,)](TensorDescriptor.from_tensor(x, [4]), out, 4),
    "tuple": lambda x, out: shift[(1,)]((x, out), out, 4),
    "interpreted": lambda x, out: InterpretedFunction(shift.fn)[grid](x, out, 4),
}


@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
def test_a_launch_is_one_operation_known_once_declared(launch: Any) -> None:
    report = counts(launch)
    assert report.operations == {"triton::shift": 1}
    assert report.unknown == {"triton::shift": 1}
    assert not report.complete
    declare("triton::shift")
    report = counts(launch)
    assert report.operations == {"triton::shift": 1}
    assert report.total.host_syncs == 0
    assert report.complete
    (kind,) = report.kinds
    assert (kind.dtype, kind.size) == ("bfloat16", 16)


def test_what_a_declaration_adds() -> None:
    declare("triton::shift", attention="triton", read_backs=2)
    report = counts(LAUNCHES["autotuned"])
    assert report.total.attention_calls == 1
    assert report.total.host_syncs == 2
    assert report.key.attention_backend == "triton"
    assert all("test_launches.py" in str(cause.where) for cause in report.causes)


def test_nothing_is_tuned_and_nothing_is_remembered() -> None:
    counts(LAUNCHES["autotuned"])
    assert tuned.cache == {}


def test_the_hook_of_a_configuration_runs_before_each_launch() -> None:
    report = counts(lambda x, out: cleared[grid](x, out, 4))
    assert report.operations == {"aten::zero_": 1, "triton::shift": 1}


def test_an_empty_grid_is_no_launch() -> None:
    assert counts(lambda x, out: shift[grid](x[:0], out[:0], 0)).operations == {}


@pytest.mark.parametrize(
    "launch",
    [
        lambda x, out: shift[lambda meta: (int(x.max()),)](x, out, 4),
        lambda x, out: shift[(x.max(),)](x, out, 4),
        lambda x, out: shift[(1,)](x, out, x.max().item()),
    ],
)
def test_a_grid_or_an_argument_from_the_device_is_a_read_back_with_its_line(launch: Any) -> None:
    report = counts(launch, torch.int64)
    assert report.operations == {"aten::max": 1, "triton::shift": 1}
    (cause,) = report.causes
    assert cause.event == "read-back"
    assert "test_launches.py" in str(cause.where)


def test_warming_up_launches_nothing() -> None:
    assert counts(lambda x, out: shift.warmup(x, out, 4, grid=(1,))).operations == {}


def test_integers_that_a_kernel_writes_are_no_longer_known() -> None:
    with CountingDevice("ghost") as device:
        x, out = device.upload(torch.arange(4)), device.upload(torch.arange(4))
        shift[(1,)](x, out, 4)
        for written in (out, x, x[1:] - x[:-1]):
            with pytest.raises(
                GhostValueError, match=r'triton::shift may have written; .* declare\("triton::shift", w'
            ):
                written.tolist()
    declare("triton::shift", writes=("out",))
    with CountingDevice("ghost") as device:
        x, out = device.upload(torch.arange(4)), device.upload(torch.arange(4))
        shift[(1,)](x, out, 4)
        assert x.tolist() == [0, 1, 2, 3]
        with pytest.raises(GhostValueError):
            out.tolist()


def test_what_a_gpu_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="triton::shift cannot read its argument 'x', which is in the host's memory"):
        counts(lambda x, out: shift[(1,)](torch.ones(4), out, 4))
    with pytest.raises(TypeError, match="missing a required argument: 'n'"):
        counts(lambda x, out: shift[(1,)](x, out))
    assert counts(lambda x, out: shift[(1,)](torch.ones(4).pin_memory(), out, 4)).operations == {"triton::shift": 1}
    with CountingDevice("ghost") as device:
        before = device.upload(torch.ones(4))
    with pytest.raises(UsageError, match="A tensor of a closed counting device is used in triton::shift at test_l"):
        counts(lambda x, out: shift[(1,)](before, out, 4))


def test_shadow_cannot_compute_a_kernel() -> None:
    with CountingDevice("shadow") as device:
        x = device.upload(torch.ones(4))
        with pytest.raises(UsageError, match=r"triton::shift at .*test_launches.py.* cannot be computed without a GPU"):
            shift[(1,)](x, x, 4)


SEEN: list[object] = []


def see(x):  # type: ignore[no-untyped-def]
    SEEN.append(x)


def test_the_interpreter_still_runs_on_the_host() -> None:
    SEEN.clear()
    with CountingDevice("ghost") as device, device.count() as counter:
        InterpretedFunction(see)[(2,)](torch.arange(4))
    assert len(SEEN) == 2
    assert counter.report.operations == {}
