"""What an earlier vlbench did not count is added to a baseline; what it holds stays."""

from __future__ import annotations

from vlbench.gating.complete import _filled, _lacks
from vlbench.record.counted import NEWEST_CALL, Further

COUNTS = {"host_syncs": 0, "allowed_syncs": 0, "attention_plans": 0}


def test_a_call_that_an_earlier_vlbench_did_not_make_is_lacking() -> None:
    assert _lacks(Further(calls={"first call": COUNTS}))
    assert _lacks(Further(calls={"first call": COUNTS, NEWEST_CALL: {"host_syncs": 0}}))
    assert not _lacks(Further(calls={"first call": COUNTS, NEWEST_CALL: COUNTS}))
    assert not _lacks(Further(calls={"first call": COUNTS}, failed={NEWEST_CALL: "at most four"}))


def test_it_is_added_and_what_is_held_stays() -> None:
    held = Further(calls={"first call": {"host_syncs": 3}}, failed={"no_grad": "no"}, kept_bytes=8)
    now = Further(calls={"first call": COUNTS, "no_grad": COUNTS, NEWEST_CALL: COUNTS}, kept_bytes=9)
    filled = _filled(held, now)
    assert filled is not None
    assert filled.calls == {"first call": COUNTS | {"host_syncs": 3}, NEWEST_CALL: COUNTS}
    assert (filled.failed, filled.kept_bytes) == ({"no_grad": "no"}, 8)


def test_a_call_that_raises_now_is_said_and_takes_no_counts() -> None:
    now = Further(calls={}, failed={"first call": "no", NEWEST_CALL: "at most four"})
    filled = _filled(Further(calls={"first call": COUNTS}), now)
    assert filled is not None
    assert (filled.calls, filled.failed) == ({"first call": COUNTS}, {NEWEST_CALL: "at most four"})
    assert not _lacks(filled)
