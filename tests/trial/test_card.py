from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from vlbench.record.machine_card import MachineCard
from vlbench.trial import card as module
from vlbench.trial.card import COPY_SIZES, take_machine_card


@pytest.fixture(scope="module")
def measured() -> MachineCard:
    return take_machine_card("cpu", seconds=0.1)


def test_a_cpu_is_measured_with_what_it_has(measured: MachineCard) -> None:
    assert measured.device == "cpu"
    assert measured.torch_threads == torch.get_num_threads()
    assert tuple(copy.size_bytes for copy in measured.copies) == COPY_SIZES
    on_gpu = (measured.sync_us, measured.round_trip_us, measured.gemm_bf16_gflops)
    assert on_gpu == (None, None, None)
    assert all(copy.pageable_us is None and copy.pinned_us is None for copy in measured.copies)


def test_a_large_copy_takes_longer_than_a_small_one(measured: MachineCard) -> None:
    assert measured.copies[-1].host_us > measured.copies[0].host_us


def test_units_are_right_within_three_powers_of_ten(measured: MachineCard) -> None:
    assert 0.05 < measured.launch_us < 500
    assert 0.1 < measured.copy_gb_s < 5_000
    assert 0.1 < measured.gemm_fp32_gflops < 100_000
    assert 1e5 < measured.python_loops_per_s < 1e10


def test_settings_of_torch_are_as_before() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = True
        take_machine_card("cpu", seconds=0.01)
        assert torch.backends.cuda.matmul.allow_tf32 is True
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert not torch.is_inference_mode_enabled()


@given(st.lists(st.floats(1e-6, 1e-3), min_size=5, max_size=5, unique=True), st.floats(1, 100))
def test_the_median_leaves_out_the_cold_first(times: list[float], cold: float) -> None:
    answers = iter([cold, *times])
    assert module._median(lambda: next(answers), seconds=0) == sorted(times)[2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_measured_whole() -> None:
    measured = take_machine_card("cuda", seconds=1)
    assert None not in measured.model_dump().values()
    assert all(copy.pageable_us and copy.pinned_us for copy in measured.copies)
