from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from tests.export.groups import quick_look
from tests.export.rendered import rendered
from tests.record.records import FINGERPRINT, died, group, results, timed, trial
from vlbench.export.against import against_view

EARLIER = results(quick_look())
NOW = results(group(trial(timed("host-grid", 1.0), timed("best", 0.4), died("no-einops"), timed("rope-table", 0.9))))


def test_then_and_now(snapshot: SnapshotAssertion) -> None:
    assert rendered(against_view(EARLIER, NOW)) == snapshot


def line(name: str) -> list[str]:
    return next(text for text in rendered(against_view(EARLIER, NOW)).splitlines() if text.startswith(name)).split()


def test_a_change_is_named_only_where_the_intervals_do_not_touch() -> None:
    assert line("host-grid")[-2:] == ["none", "seen"]
    assert line("best")[-2:] == ["1.25x", "faster"]
    assert line("rope-table")[-2:] == ["not", "comparable"]
    assert line("no-einops")[-2:] == ["not", "comparable"]
    assert line("window-sort")[-3:] == ["in", "this", "run"]


def test_another_machine_is_said() -> None:
    words = "Ratios may differ for another reason alone: CPU: another CPU against"
    elsewhere = results(quick_look(), fingerprint=FINGERPRINT.model_copy(update={"cpu": "another CPU"}))
    assert words in rendered(against_view(elsewhere, NOW))
    assert words not in rendered(against_view(EARLIER, NOW))


def test_other_groups_are_left_out() -> None:
    other = results(group(trial(), scenario="video"), *NOW.groups)
    assert "video" not in rendered(against_view(EARLIER, other))
