from __future__ import annotations

import pytest
import torch

from vlbench.counting_device import PROFILES, CountingDevice

pytest.importorskip("triton")

import triton
from torch.utils._triton import has_triton
from triton.runtime.driver import driver


@pytest.mark.parametrize("name", PROFILES)
def test_the_driver_answers_for_the_profile_and_every_question_is_listed(name: str) -> None:
    profile = PROFILES[name]
    with CountingDevice("ghost", name) as device:
        active = triton.runtime.driver.active
        target = active.get_current_target()
        assert (target.backend, target.arch, target.warp_size) == ("cuda", int(name.removeprefix("sm_")), 32)
        assert active.get_device_capability(0) == profile.capability
        assert active.get_current_stream(active.get_current_device()) == 0
        assert active.get_active_torch_device() == torch.device("cuda", 0)
        properties = active.utils.get_device_properties(0)
        assert properties["multiprocessor_count"] == profile.multi_processor_count
        assert properties["max_shared_mem"] == profile.shared_memory_per_block_optin
        questions = device.questions
    assert [question.question.removeprefix("triton.runtime.driver.active.") for question in questions] == [
        "get_current_target()",
        "get_device_capability()",
        "get_current_device()",
        "get_current_stream()",
        "get_active_torch_device()",
        "utils.get_device_properties()",
    ]
    assert all("test_triton_driver.py" in str(question.where) for question in questions)
    assert questions[1].answer == str(profile.capability)


def test_triton_counts_as_usable() -> None:
    has_triton.cache_clear()
    with CountingDevice("ghost"):
        assert has_triton()
    has_triton.cache_clear()


def test_the_driver_is_given_back() -> None:
    before = dict(vars(driver))
    with CountingDevice("ghost"):
        driver.set_active(None)
    assert vars(driver) == before
