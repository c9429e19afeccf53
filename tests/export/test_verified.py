from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from tests.export.groups import one_trial
from tests.export.rendered import shown
from tests.record.records import CLOSE, RIGHT, group, reference_tower, timed, trial
from vlbench.export.results import verified_sheet
from vlbench.record.schema import CellGroup

BATCHES = ("smallest", "ragged", "video")


def verified(made: CellGroup, *, failures_only: bool = False) -> str:
    return shown(verified_sheet(made, BATCHES, failures_only=failures_only, json=str).parts)


def test_all_rows(snapshot: SnapshotAssertion) -> None:
    assert verified(group(one_trial())) == snapshot


def test_failures_only(snapshot: SnapshotAssertion) -> None:
    assert verified(group(one_trial()), failures_only=True) == snapshot


def test_a_timed_dtype_has_its_own_columns(snapshot: SnapshotAssertion) -> None:
    accuracy = CLOSE.model_copy(update={"timed_error": 0.0061, "timed_limit": 0.009})
    own = reference_tower(accuracy=RIGHT.model_copy(update={"timed_error": 0.006, "timed_limit": 0.009}))
    made = group(trial(variants=(own, timed("rope-cache", 0.5, accuracy=accuracy))), dtype="bfloat16")
    assert verified(made) == snapshot
