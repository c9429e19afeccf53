from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.export.judged_examples import ANYTHING, TOWER, all_the_same, anything, counted, one_of_everything, timed
from vlbench.export.wording import (
    chance,
    fails,
    figures,
    move_in_words,
    moves_shown,
    ordered,
    outcome,
    pair,
    tally,
    unenforced,
)
from vlbench.judging.judged import Judged, Move
from vlbench.judging.verdict import Verdict


@anything
@given(ANYTHING)
def test_rows_that_fail_make_the_exit_code_and_come_first(judged: Judged) -> None:
    failing = any(fails(row, judged) for row in judged.rows)
    nothing = not any(row.gates for row in judged.rows)
    assert bool(judged.exit_code) is (judged.enforced and (failing or nothing))
    rows = ordered(judged)
    assert sorted(map(id, rows)) == sorted(map(id, judged.rows))
    order = [(row.verdict is Verdict.ACCEPTED, fails(row, judged)) for row in rows]
    assert order == sorted(order, reverse=True)


def test_what_is_not_enforced_says_so_first_and_ends_with_0() -> None:
    judged = one_of_everything(enforced=False)
    first = "Nothing is enforced, for this is a report only: enforced, it would end with exit code 5."
    assert (judged.exit_code, judged.finding, unenforced(judged)) == (0, 5, first)
    assert outcome(judged) == "inaccurate, not enforced"
    assert not any(fails(row, judged) for row in judged.rows)
    assert unenforced(one_of_everything()) == ""


def test_nothing_compared_is_said_to_be_nothing() -> None:
    nothing = one_of_everything(rows=())
    assert (outcome(nothing), tally(nothing), chance(nothing)) == ("nothing was compared", "no rows", "")
    silent = one_of_everything(rows=(counted(Verdict.REGRESSED, gates=False),))
    assert outcome(silent) == "nothing was compared that may gate"
    assert tally(silent) == "1 regressed (1 of them without a say)"


def test_what_is_allowed_is_said() -> None:
    row = timed(Verdict.INCONCLUSIVE, TOWER, 1.02)
    judged = one_of_everything(rows=(row,), allow_inconclusive=True)
    assert (outcome(judged), tally(judged)) == ("passed", "1 inconclusive, which is allowed")
    assert not fails(row, judged)


def test_false_rows_are_expected_of_times_that_were_judged_alone() -> None:
    assert chance(all_the_same(1000)) == ""
    times = tuple(timed(Verdict.SAME, f"cell {number}", 1.0) for number in range(1000))
    assert chance(one_of_everything(rows=times)).startswith("By chance alone, 0.3 of 1,000 times would be called;")
    assert chance(one_of_everything(rows=times, false_alarms=0.01)).startswith("By chance alone, 10 of 1,000 times")
    assert chance(one_of_everything(rows=times, false_alarms=None)).startswith("'detectable' is the smallest change")


@pytest.mark.parametrize(
    ("before", "after", "unit", "words"),
    [
        (4, 36, "", ("4", "36")),
        (2058, 1_234_567, "", ("2,058", "1,234,567")),
        (32_000, 4_000_000, "B", ("32 kB", "4 MB")),
        (1_000_000, 1_000_001, "B", ("1,000,000 B", "1,000,001 B")),
        (0, 0.00123, "s", ("0 s", "1.23 ms")),
        (13160.5, 2.5, "ms", ("13.16 s", "2.5 ms")),
        (13160.5, 0.00002, "tokens/s", ("13,160 tokens/s", "0.00002 tokens/s")),
        (0.5, 0.75, "x the reference tower", ("0.5 x the reference tower", "0.75 x the reference tower")),
    ],
)
def test_two_figures(before: float, after: float, unit: str, words: tuple[str, str]) -> None:
    assert pair(before, after, unit) == words


@given(st.integers(0, 2**50), st.integers(0, 2**50), st.sampled_from(["", "B"]))
def test_counts_that_differ_never_look_alike(before: int, after: int, unit: str) -> None:
    a, b = pair(before, after, unit)
    assert (a == b) is (before == after)


def test_figures_of_a_row() -> None:
    assert figures(counted(Verdict.REGRESSED)) == ""
    row = timed(Verdict.REGRESSED, TOWER, 1.09)
    assert figures(row) == "12.3 ms -> 13.41 ms, +9.0 % [+7.9, +10.1] at 94 %, detectable 2.1 %"
    assert figures(timed(Verdict.SAME, TOWER, 1.0, low=None, visible=None)) == "12.3 ms -> 12.3 ms, +0.0 %"


def test_a_change_that_its_two_medians_do_not_come_to_is_called_paired() -> None:
    row = timed(Verdict.REGRESSED, TOWER, 1.089, before=0.001893, after=0.002147, paired=True, visible=None)
    assert figures(row).startswith("1.893 ms -> 2.147 ms, +8.9 % [")
    assert figures(row).endswith("] at 94 %, paired")
    assert "paired" not in figures(row.model_copy(update={"paired": False})), "of separate runs"


def test_a_rate_that_fell_is_shown_to_have_fallen() -> None:
    row = timed(Verdict.REGRESSED, TOWER, 1.25, before=100, after=80, unit="req/s", better="higher", visible=None)
    assert figures(row) == "100 req/s -> 80 req/s, -20.0 % [-20.8, -19.2] at 94 %"


def test_moves_in_words() -> None:
    line = Move(kind="line", name="read-back: n.item()", before=0, after=32, file="rope.py", line=41)
    assert move_in_words(line) == "rope.py:41 read-back: n.item() 0 -> 32"
    syncs = Move(kind="counter", name="host_syncs", before=4, after=0, stage="plan")
    assert move_in_words(syncs) == "host syncs 4 -> 0 (plan)"


def test_the_moves_that_are_not_shown_are_counted() -> None:
    lines = tuple(Move(kind="line", name=str(n), before=0, after=n) for n in range(30))
    row = counted(Verdict.REGRESSED, moves=lines)
    assert (len(moves_shown(row, "line")[0]), moves_shown(row, "line")[1]) == (8, "and 22 lines more (--json)")
    assert moves_shown(row, "counter") == ([], "")


def test_one_pair_of_words_says_which_way_is_good_and_that_of_earlier_files_is_read() -> None:
    rows = [timed(Verdict.SAME, TOWER, 1.0, better=told) for told in ("lower", "higher", "less", "more")]
    assert [row.better for row in rows] == ["lower", "higher", "lower", "higher"]


def test_medians_that_lie_the_other_way_round_than_the_ratio_say_so() -> None:
    row = timed(Verdict.REGRESSED, TOWER, 1.01, before=2.0, after=1.99)
    assert "of calls side by side, where the medians of all calls lie the other way round" in figures(row)
    assert "side by side" not in figures(row.model_copy(update={"after": 2.02}))
    assert "side by side" not in figures(row.model_copy(update={"unit": "x the reference"}))
