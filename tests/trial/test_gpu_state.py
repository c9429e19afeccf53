from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.record.fake_nvml import ANSWERS, UUID, FakeNvml
from vlbench.record.nvml import Board
from vlbench.trial.gpu_state import HARMLESS, REASONS, GpuSampler, GpuState, reason_names, sampler_for


def _sample(answers: dict[Any, Any], without: frozenset[str] = frozenset()) -> GpuState:
    nvml = FakeNvml({f"GPU-{UUID}": answers}, without=without)
    found = GpuSampler(Board(nvml, answers, f"GPU-{UUID}")).sample()
    assert found is not None
    return found


def test_a_sample_in_plain_units() -> None:
    assert _sample(ANSWERS) == GpuState(
        sm_mhz=1785, memory_mhz=3201, temperature_c=61, power_w=412.5, reasons=("software power cap",)
    )


@pytest.mark.parametrize("missing", list(ANSWERS))
def test_what_a_board_does_not_tell_is_none_and_the_rest_stays(missing: object) -> None:
    whole = _sample(ANSWERS).model_dump()
    sample = _sample({question: answer for question, answer in ANSWERS.items() if question != missing}).model_dump()
    lost = {name for name, value in sample.items() if value is None}
    assert len(lost) <= 1
    assert {name: value for name, value in sample.items() if name not in lost}.items() <= whole.items()


def test_a_board_that_tells_nothing() -> None:
    sample = _sample({})
    assert set(sample.model_dump().values()) == {None}
    assert sample.is_throttled is None


@pytest.mark.parametrize("without", [frozenset(), frozenset({"nvmlDeviceGetCurrentClocksEventReasons"})])
def test_older_drivers_and_bindings_tell_reasons_by_their_old_name(without: frozenset[str]) -> None:
    assert _sample({"nvmlDeviceGetCurrentClocksThrottleReasons": 0x40}, without).reasons == (
        "hardware thermal slowdown",
    )


def test_the_bits_are_those_of_the_binding() -> None:
    prefix = "nvmlClocksThrottleReason"
    theirs = {getattr(pynvml, name) for name in dir(pynvml) if name.startswith(prefix)}
    assert set(REASONS) == theirs - {pynvml.nvmlClocksThrottleReasonAll, pynvml.nvmlClocksThrottleReasonNone}
    for spoken, constant in [
        ("idle", "GpuIdle"),
        ("application clocks", "ApplicationsClocksSetting"),
        ("software power cap", "SwPowerCap"),
        ("hardware slowdown", "HwSlowdown"),
        ("sync boost", "SyncBoost"),
        ("software thermal slowdown", "SwThermalSlowdown"),
        ("hardware thermal slowdown", "HwThermalSlowdown"),
        ("hardware power brake", "HwPowerBrakeSlowdown"),
        ("display clocks", "DisplayClockSetting"),
    ]:
        assert reason_names(getattr(pynvml, f"nvmlClocksEventReason{constant}")) == (spoken,)


@given(st.integers(0, 2**64 - 1))
def test_every_bit_gets_a_name_and_none_is_lost(bits: int) -> None:
    names = reason_names(bits)
    assert len(names) == len(set(names)) == bits.bit_count()
    numbers = {name: bit for bit, name in REASONS.items()}
    assert sum(numbers[name] if name in numbers else int(name.removeprefix("reason "), 16) for name in names) == bits


@given(st.integers(0, 2**12 - 1))
def test_throttled_by_anything_that_comes_and_goes(bits: int) -> None:
    harmless = sum(bit for bit, name in REASONS.items() if name in HARMLESS)
    sample = _sample({"nvmlDeviceGetCurrentClocksEventReasons": bits})
    assert sample.is_throttled == bool(bits & ~harmless)


def test_without_a_gpu_there_is_no_sample() -> None:
    assert GpuSampler(None).sample() is None
    assert sampler_for("cpu").sample() is None


def test_the_sampler_of_the_visible_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=UUID))
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml({f"GPU-{UUID}": ANSWERS}))
    sample = sampler_for("cuda").sample()
    assert sample is not None
    assert sample.is_throttled
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml({}, starts=False))
    assert sampler_for("cuda").sample() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu() -> None:
    sample = sampler_for("cuda").sample()
    assert sample is not None
    assert sample.sm_mhz is not None
    assert sample.sm_mhz > 0
