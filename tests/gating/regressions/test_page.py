"""What the page says of a judge that caught, missed, praised or cried wolf."""

from __future__ import annotations

import pytest

from tests.gating.regressions.judges import Benchmarked
from tests.gating.regressions.listing import regressions
from tests.gating.regressions.page import Seen, page
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict

LISTED = {each.slug: each for each in regressions()}
QUIET = Benchmarked(failed=False, ratio=1.01)
LOUD = Benchmarked(failed=True, ratio=1.08)
SYNCS = Move(kind="counter", name="host_syncs", before=0, after=32)


def counters(verdict: Verdict, *moves: Move) -> JudgedRow:
    return JudgedRow(cell="x", measure="counters", verdict=verdict, reason="-", moves=moves)


def timed(verdict: Verdict, ratio: float) -> JudgedRow:
    return JudgedRow(cell="x", measure="time", verdict=verdict, reason="-", ratio=ratio)


WRONG = JudgedRow(cell="x", measure="accuracy", verdict=Verdict.INACCURATE, reason="error 0.23 in fp32 is above 1e-05")
SAME = counters(Verdict.SAME)


@pytest.mark.parametrize(
    ("slug", "rows", "benchmarked", "cells"),
    [
        (
            "item_per_layer",
            (SAME, counters(Verdict.REGRESSED, SYNCS), timed(Verdict.SAME, 1.002)),
            QUIET,
            ["**caught**: host syncs 0 → 32", "passes", "missed, +0.2 %", "missed, median +1.0 %"],
        ),
        (
            "unpermuted_cos_sin",
            (counters(Verdict.IMPROVED, SYNCS.model_copy(update={"before": 2, "after": 1})), WRONG),
            QUIET,
            [
                "missed, and praised: host syncs 2 → 1",
                "**caught**: error 0.23 in fp32 is above 1e-05",
                "no time",
                "missed, median +1.0 %",
            ],
        ),
        (
            "pageable_upload",
            (counters(Verdict.REGRESSED, SYNCS), timed(Verdict.INCONCLUSIVE, 1.02)),
            LOUD,
            ["**caught**: host syncs 0 → 32", "passes", "inconclusive, +2.0 %", "**false alarm**, median +8.0 %"],
        ),
    ],
)
def test_a_row(slug: str, rows: tuple[JudgedRow, ...], benchmarked: Benchmarked, cells: list[str]) -> None:
    text = page([Seen(LISTED[slug], rows, benchmarked)], "command", "machine", 9.6)
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {LISTED[slug].number}. "))
    assert row == f"| {' | '.join([f'{LISTED[slug].number}. {LISTED[slug].title}', *cells])} |"
    assert "machine; 10 minutes." in text


def test_what_the_gate_does_not_object_to_is_listed_and_so_is_what_came_otherwise() -> None:
    seen = Seen(LISTED["list_per_layer"], (SAME, timed(Verdict.REGRESSED, 1.1)), LOUD)
    blind = Seen(LISTED["frequencies_follow_dtype"], (counters(Verdict.IMPROVED), timed(Verdict.SAME, 1.0)), QUIET)
    text = page([seen, blind], "", "", 1)
    title, other = (LISTED[slug].title for slug in ("list_per_layer", "frequencies_follow_dtype"))
    why = LISTED["frequencies_follow_dtype"].expected.why
    assert f"- {title}: the gate" not in text
    assert f"- {other}: the gate does not object, nor does pytest-benchmark. {why}" in text
    assert f"- {title}: time slower, expected same." in text
    assert f"- {other}: counters improved, expected same." in text


def test_false_alarms_are_counted_for_each_judge_and_doubt_is_none() -> None:
    doubtful = Seen(None, (SAME, timed(Verdict.INCONCLUSIVE, 1.02)), LOUD)
    praised = Seen(None, (SAME, timed(Verdict.IMPROVED, 0.9)), QUIET)
    text = page([doubtful, praised], "", "", 1)
    assert "| false alarms on the untouched code | 0 of 2 | 0 of 2 | 1 of 2 | 1 of 2 |" in text
