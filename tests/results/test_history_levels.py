"""How often levels are seen in noise: what is stored is below what is said, and is found again."""

from __future__ import annotations

import pytest

from results.history_levels import KINDS, PATH, READINGS, STORED, Levels, levels_table, seen
from vlbench.record.base import fitting
from vlbench.untrusted.files import read_json

pytest.importorskip("ruptures")


def stored() -> Levels:
    found = fitting(Levels, read_json(PATH, STORED), PATH, STORED.remedy)
    assert found.intact
    return found


def test_noise_whose_neighbours_are_alike_has_few_levels_and_a_step_is_found() -> None:
    found = {(each.correlation, each.slow, each.readings): each for each in stored().seen}
    assert set(found) == {(*kind, readings) for kind in KINDS for readings in READINGS}
    assert all(each.false < 0.05 for (correlation, *_), each in found.items() if correlation <= 0.6)
    assert found[0.0, 0.0, 30].found > 0.95
    assert len(levels_table().splitlines()) == 2 + len(KINDS)


def test_it_is_so_today() -> None:
    """Of the first 40 series; without regard to how neighbours resemble each other it was above a half."""
    assert seen(30, 0.6, series=40).false <= 0.05
    assert seen(30, 0.0, series=40).found >= 0.95


@pytest.mark.slow(seconds=20)
def test_what_is_stored_is_found_again() -> None:
    of = {(each.correlation, each.slow, each.readings): each for each in stored().seen}
    for kind in ((0.0, 0.0), (0.6, 0.0), (0.0, 0.2)):
        assert seen(30, *kind) == of[(*kind, 30)]
