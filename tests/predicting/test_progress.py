"""Progress of a prediction over GPUs of several architectures, each of which is a process of its own."""

from __future__ import annotations

from vlbench.predicting.run import _of_all


def test_steps_go_on_over_architectures_in_place_of_starting_anew() -> None:
    told: list[tuple[int, int]] = []
    for before, boards in ((0, 1), (2, 2)):  # two rows: on one board, then on two
        for done in range(1, 2 * boards + 1):
            _of_all(before, 3 / boards, lambda done, of: told.append((done, of)), done, 2 * boards)
    assert told == [(each, 6) for each in range(1, 7)]
