from __future__ import annotations

import pytest

from vlbench.counting_device.profiles import cudnn_of, profile
from vlbench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "kept", "number"),
    [("9.19", "9.19", 91_900), ("9.15.1", "9.15.1", 91_501), ("9.19.0.56", "9.19", 91_900), ("9.8.0", "9.8", 90_800)],
)
def test_a_version_of_cudnn_is_kept_in_one_form(text: str, kept: str, number: int) -> None:
    found = profile("sm_90", text)
    assert (cudnn_of(text), found.cudnn, found.cudnn_version) == (kept, kept, number)


@pytest.mark.parametrize("text", ["8.9", "10.1", "9", "9.", "9.x", "9.19rc1", "9.123", " 9.19", "9.\u0661"])
def test_what_is_no_version_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--cudnn .*: no version of cuDNN 9; write it as 9\.19 or 9\.15\.1$"):
        profile("sm_90", text)


@pytest.mark.parametrize(
    ("text", "meant"), [("h100", "90"), ("SM_90", "90"), ("9.0", "90"), ("sm80", "80"), ("B200", "100"), ("l4", "89")]
)
def test_a_gpu_by_another_name_is_told_the_one_that_is_meant(text: str, meant: str) -> None:
    with pytest.raises(
        UsageError, match=rf"^--as {text}: no such GPU profile; did you mean sm_{meant}\? choose one of"
    ):
        profile(text)
