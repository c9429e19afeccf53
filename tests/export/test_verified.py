from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from tests.export.groups import one_trial
from tests.export.rendered import rendered
from tests.record.records import CLOSE, group, timed, trial
from vlbench.export.verified import verified_view

BATCHES = ("smallest", "ragged", "video")


def test_all_rows(snapshot: SnapshotAssertion) -> None:
    assert rendered(verified_view(group(one_trial()), BATCHES)) == snapshot


def test_failures_only(snapshot: SnapshotAssertion) -> None:
    assert rendered(verified_view(group(one_trial()), BATCHES, failures_only=True)) == snapshot


def test_a_timed_dtype_has_its_own_columns(snapshot: SnapshotAssertion) -> None:
    accuracy = CLOSE.model_copy(update={"timed_error": 0.0061, "timed_limit": 0.009})
    made = group(trial(timed("rope-cache", 0.5, accuracy=accuracy)), dtype="bfloat16")
    assert rendered(verified_view(made, BATCHES)) == snapshot
