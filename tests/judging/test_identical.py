from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tests.record.records import FINGERPRINT
from vlbench.judging.identical import Evidence, IdenticalRun, interval, tally, upper_bound
from vlbench.judging.verdict import Verdict

SAME, CALLED, BLIND, GONE = Verdict.SAME, Verdict.IMPROVED, Verdict.INCONCLUSIVE, Verdict.MISSING


def run(*verdicts: Verdict) -> IdenticalRun:
    return IdenticalRun(verdicts=verdicts, ratios=(1.0,), visible=(0.01,), seconds=60.0)


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([run(SAME, SAME)] * 40, "0 of 40 identical pairs called different (at most 7.2 %)"),
        ([run(SAME, CALLED), run(SAME, SAME)], "1 of 2 identical pairs called different (at most 97.5 %)"),
        ([run(Verdict.INACCURATE)], "1 of 1 identical pairs called different (at most 100.0 %)"),
        ([run(BLIND, SAME), run(SAME)], "0 of 2 identical pairs called different (at most 77.6 %), 1 undecided"),
        ([run(GONE, CALLED), run(SAME)], "0 of 1 identical pairs called different (at most 95.0 %)"),
        ([run(GONE)], "none of 1 identical pairs could be measured"),
    ],
)
def test_alarms_are_counted_among_runs_that_could_raise_one(runs: list[IdenticalRun], words: str) -> None:
    assert tally(runs, "identical pairs") == words


def test_none_in_two_hundred_shows_under_one_and_a_half_per_cent() -> None:
    assert upper_bound(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert 0.0148 < upper_bound(0, 200) < 0.015
    assert upper_bound(200, 200) == 1
    assert upper_bound(1, 200) > upper_bound(0, 200)


def test_an_interval_leaves_out_the_same_share_on_both_sides() -> None:
    low, high = interval(0, 200)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 200))
    assert interval(200, 200) == (pytest.approx(1 - high), 1)
    low, high = interval(0, 200, confidence=0.8)
    assert high == pytest.approx(1 - 0.1 ** (1 / 200))


def test_evidence_of_another_schema_is_refused() -> None:
    fields = {"created": datetime.now(UTC), "fingerprint": FINGERPRINT, "command": "vlbench ab", "runs": ()}
    assert Evidence(**fields).schema_version == 1
    with pytest.raises(ValidationError, match="schema_version"):
        Evidence(**fields, schema_version=2)


def test_more_events_than_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="3 events in 2 cases"):
        upper_bound(3, 2)
