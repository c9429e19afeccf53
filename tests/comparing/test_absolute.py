"""Where everything is twice as slow, ratios are what they were."""

from __future__ import annotations

import pytest

from tests.record.records import FINGERPRINT, REFERENCE_SECONDS, group, reference_tower, results, timed, trial
from vlbench.comparing.compared import compare
from vlbench.judging.verdict import Verdict
from vlbench.record.schema import Results, Timing


def measured(pace: float, **fields: object) -> Results:
    def timings(factor: float) -> dict[str, Timing]:
        return {"warm": Timing(seconds=tuple(pace * factor * one for one in REFERENCE_SECONDS))}

    rows = (reference_tower(timings=timings(1.0)), timed("best", 0.5, timings=timings(0.5)))
    return results(group(*(trial(number=number, variants=rows) for number in range(5))), **fields)


def test_twice_as_slow_throughout_deserves_a_line() -> None:
    judged = compare(measured(1.0), measured(2.0))
    assert {row.verdict for row in judged.rows} == {Verdict.SAME}
    (note,) = judged.notes
    assert note.startswith("baseline multi-image float32 warm itself takes 2.00x as long as before (10.5 ms -> 21 ms)")
    (faster,) = compare(measured(2.0), measured(1.0)).notes
    assert "takes 0.50x as long" in faster
    assert not any(row.verdict is Verdict.IMPROVED for row in compare(measured(2.0), measured(1.0)).rows)


@pytest.mark.parametrize("pace", [1.0, 1.09, 1 / 1.09])
def test_small_drifts_are_not_told(pace: float) -> None:
    assert compare(measured(1.0), measured(pace)).notes == ()


def test_times_of_another_class_of_machine_are_not_told_and_never_improved() -> None:
    other = FINGERPRINT.model_copy(update={"cpu": "another CPU"})
    judged = compare(measured(1.0), measured(0.2, fingerprint=other))
    assert judged.notes == ()
    assert {row.verdict for row in judged.rows if row.measure == "time"} == {Verdict.MISSING}
