from __future__ import annotations

import sys
from types import SimpleNamespace

import pynvml
import pytest
import torch
from hypothesis import given, strategies as st

from tests.cuda_stand_ins import ANSWERS, OTHER_UUID, UUID, FakeNvml
from vlbench.record.nvml import HARMLESS, Board, find_board, throttle_check, visible_board


def _install(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)


def test_the_board_is_found_by_uuid_not_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, FakeNvml({f"GPU-{OTHER_UUID}": {"nvmlDeviceGetName": "first"}, f"GPU-{UUID}": ANSWERS}))
    board = find_board(UUID)
    assert board is not None
    assert board.uuid == f"GPU-{UUID}"
    assert board.ask("nvmlDeviceGetBoardPartNumber") == "699-2G520-0200-000"
    assert board.mig() is False
    assert board.driver() == "580.65.06"


def test_a_slice_leads_to_its_board(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = {f"GPU-{OTHER_UUID}": ANSWERS, f"MIG-{UUID}": {"parent": f"GPU-{OTHER_UUID}"}}
    _install(monkeypatch, FakeNvml(boards))
    board = find_board(UUID)
    assert board is not None
    assert board.uuid == f"MIG-{UUID}"
    assert board.ask("nvmlDeviceGetEnforcedPowerLimit") == 700_000
    assert board.mig() is True


def test_a_board_in_slices_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, FakeNvml({f"GPU-{UUID}": {"nvmlDeviceGetMigMode": [1, 1]}}))
    board = find_board(UUID)
    assert board is not None
    assert board.mig() is True


def test_what_a_board_cannot_say_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, FakeNvml({f"GPU-{UUID}": {}}, without=frozenset({"nvmlDeviceGetPowerUsage"})))
    board = find_board(UUID)
    assert board is not None
    assert board.ask("nvmlDeviceGetBoardPartNumber") is None
    assert board.ask("nvmlDeviceGetPowerUsage") is None
    assert board.mig() is None


@pytest.mark.parametrize(
    "nvml",
    [None, FakeNvml({f"GPU-{UUID}": ANSWERS}, starts=False), FakeNvml({f"GPU-{OTHER_UUID}": ANSWERS}), FakeNvml({})],
    ids=["no binding", "no library", "another board", "no board"],
)
def test_no_board_is_none(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> None:
    _install(monkeypatch, nvml)
    assert find_board(UUID) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_the_real_binding_finds_nothing_here() -> None:
    assert find_board(UUID) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_visible_board_is_the_one_that_cuda_names() -> None:
    board = visible_board()
    assert board is not None
    assert str(torch.cuda.get_device_properties(0).uuid) in board.uuid
    assert board.ask("nvmlDeviceGetName") in torch.cuda.get_device_name(0)


def _held_back_by(answers: dict[str, int], without: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
    return Board(FakeNvml({f"GPU-{UUID}": answers}, without=without), answers, f"GPU-{UUID}").held_back_by()


def test_the_harmless_bits_are_those_of_the_binding() -> None:
    names = ("GpuIdle", "ApplicationsClocksSetting", "DisplayClockSetting")
    assert sum(getattr(pynvml, f"nvmlClocksEventReason{name}") for name in names) == HARMLESS


@given(st.integers(0, 2**64 - 1))
def test_throttled_by_anything_that_comes_and_goes(bits: int) -> None:
    reasons = _held_back_by({"nvmlDeviceGetCurrentClocksEventReasons": bits})
    assert reasons is not None
    assert len(set(reasons)) == (bits & ~HARMLESS).bit_count()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SwPowerCap", "power cap"),
        ("HwSlowdown", "hardware slowdown"),
        ("SyncBoost", "sync boost"),
        ("SwThermalSlowdown", "thermal slowdown by the driver"),
        ("HwThermalSlowdown", "thermal slowdown by the hardware"),
        ("HwPowerBrakeSlowdown", "power brake"),
    ],
)
def test_each_reason_of_the_binding_has_words(name: str, words: str) -> None:
    bits = _bit(name)
    assert _held_back_by({"nvmlDeviceGetCurrentClocksEventReasons": bits | HARMLESS}) == (words,)


def _bit(name: str) -> int:
    """The constant of the binding, which has some under their old name alone."""
    names = (f"nvmlClocksEventReason{name}", f"nvmlClocksThrottleReason{name}")
    return int(next(getattr(pynvml, each) for each in names if hasattr(pynvml, each)))


def test_a_reason_that_nobody_knows_yet_is_told_by_its_bit() -> None:
    assert _held_back_by({"nvmlDeviceGetCurrentClocksEventReasons": 0x8000 | 0x4}) == ("power cap", "reason 0x8000")


@pytest.mark.parametrize("without", [frozenset(), frozenset({"nvmlDeviceGetCurrentClocksEventReasons"})])
def test_older_drivers_and_bindings_tell_reasons_by_their_old_name(without: frozenset[str]) -> None:
    found = _held_back_by({"nvmlDeviceGetCurrentClocksThrottleReasons": 0x40}, without)
    assert found == ("thermal slowdown by the hardware",)
    assert _held_back_by({"nvmlDeviceGetCurrentClocksThrottleReasons": 0x1}, without) == ()


def test_a_board_that_tells_nothing_and_a_cpu_are_not_throttled() -> None:
    assert _held_back_by({}) is None
    assert throttle_check("cpu")() == ()


def test_the_visible_gpu_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=UUID))
    _install(monkeypatch, FakeNvml({f"GPU-{UUID}": ANSWERS}))
    assert throttle_check("cuda")() == ("power cap",)
    _install(monkeypatch, FakeNvml({f"GPU-{UUID}": {}}))
    assert not throttle_check("cuda")()
    _install(monkeypatch, FakeNvml({}, starts=False))
    assert not throttle_check("cuda")()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu_tells() -> None:
    board = visible_board()
    assert board is not None
    assert board.held_back_by() is not None
