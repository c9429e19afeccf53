"""Predictions that were held against GPUs, as the pages show them."""

from __future__ import annotations

from pathlib import Path

from results.checked_predictions import checked_sentence, checked_table, measured_sentence
from tests.cli.test_predict import checked


def test_hits_and_misses_are_shown_once_there_are_any(tmp_path: Path) -> None:
    assert checked_table(tmp_path) is checked_sentence(tmp_path) is measured_sentence(tmp_path) is None
    held = checked()
    held.keep(tmp_path / "checked-h100.json")
    (tmp_path / "published.json").write_text("{}")
    gpu = f"NVIDIA H100 80GB HBM3, torch {held.fingerprint.torch}"
    assert (checked_table(tmp_path) or "").splitlines()[2:] == [
        f"| {gpu} | baseline, s | 5.0-9.0 | 10.50 | miss, above it | +50.0 % | 1.00-1.50 | - |",
        f"| {gpu} | best, s | 5.0-9.0 | 8.40 | hit | +20.0 % | 1.00-1.50 | 1.25 [1.25, 1.25], hit |",
    ]
    assert " ".join((checked_sentence(tmp_path) or "").split()) == (
        "Predicted first, then measured on an NVIDIA H100 80GB HBM3. Of 2 rows, all times of 1 lie in the band that "
        "was predicted; the middle of a band is off by 35 % in the median. Of 1 speed-ups 1 lie in theirs."
    )
    assert "`baseline` 10.50, `best` 8.40." in " ".join((measured_sentence(tmp_path) or "").split())
