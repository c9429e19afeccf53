"""What is predicted of published cases: stored as it is predicted today, and every miss with its reason."""

from __future__ import annotations

import pytest

from results.predict_published import FP8, NEAR, SIZES, WHY, directions, published_table, stored, times_of_vllm

SAID = {each.case: each for each in stored().said}


def test_the_file_is_as_it_was_written_and_each_miss_has_its_reason() -> None:
    assert stored().intact
    for each in SAID.values():
        assert bool(each.why) == (each.verdict == "miss"), each.case
        assert each.why == (WHY[each.case] if each.why else "")
    assert len(SAID) == len(SIZES) + len(FP8) + 4
    lines = published_table().splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(SAID)
    assert {line.split(" | ")[4] for line in lines} == {"-", "yes", "no"}


def test_three_sizes_are_as_near_as_was_asked_and_hd_is_told_as_a_miss() -> None:
    for size in ("FullHD", "QHD", "4K"):
        said = SAID[f"vLLM #38065, three images, {size}"]
        assert said.verdict == "hit"
        assert abs(float(said.note.rstrip("%"))) <= 100 * NEAR
    assert SAID["vLLM #38065, three images, HD"].verdict == "miss"


@pytest.mark.slow(55)
def test_what_is_stored_is_what_is_predicted_today() -> None:
    today = {said.case: said for said in (*times_of_vllm(), *directions())}
    assert today == SAID, "write it anew with `python -m results.predict_published`"
