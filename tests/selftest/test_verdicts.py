from __future__ import annotations

import pytest

from tests.judging.self_tests import self_test_group
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.identical import interval, upper_bound
from vlbench.judging.verdict import Verdict
from vlbench.selftest.other_rules import OURS, scores
from vlbench.selftest.verdicts import report

COPIES = {f"copy {number}": (0.0, 1.0) for number in range(4)}
CAUGHT = {"+3% 1": (0.03, 1.03), "+3% 2": (0.03, 1.03)}


def test_copies_that_agree_and_slow_downs_that_show_meet_the_goal() -> None:
    found = report([self_test_group({**COPIES, **CAUGHT}, confirmed={"+3% 1": 1.03, "+3% 2": 1.03})] * 2)
    assert [tally.slow_down for tally in found.tallies] == [0.0, 0.03]
    assert (found.identical.cases, found.identical.hits) == (8, 0)
    assert found.identical.bounds == (0.0, upper_bound(0, 8))
    caught = found.tallies[1]
    assert (caught.cases, caught.hits, caught.rate) == (4, 4, 1.0)
    assert caught.bounds == interval(4, 4)
    assert caught.measured == pytest.approx(1.03, abs=0.003)
    assert found.smallest_caught == 0.03
    assert found.met
    assert found.exit_code is ExitCode.OK


@pytest.mark.parametrize("ratio", [1.05, 0.95])
def test_a_copy_that_is_called_either_way_is_a_false_alarm(ratio: float) -> None:
    rows = {**COPIES, "copy 9": (0.0, ratio), **CAUGHT}
    found = report([self_test_group(rows, confirmed={"copy 9": ratio}), self_test_group({**COPIES, **CAUGHT})])
    assert found.identical.hits == 1
    assert (found.groups_with_false_alarm, found.groups, found.first_vote_false_alarms) == (1, 2, 1)
    assert not found.met
    assert found.exit_code is ExitCode.REGRESSED


def test_what_is_not_confirmed_is_no_false_alarm_and_is_counted_apart() -> None:
    rows = {**COPIES, "copy 9": (0.0, 1.05), **CAUGHT}
    found = report([self_test_group(rows, confirmed={"copy 9": 1.0, "+3% 1": 1.03, "+3% 2": 1.03})])
    assert (found.identical.hits, found.first_vote_false_alarms) == (0, 1)
    assert found.met


def test_a_slow_down_that_is_called_faster_is_not_caught() -> None:
    found = report([self_test_group({**COPIES, "+3% 1": (0.03, 0.9)})])
    assert found.tallies[1].verdicts == {Verdict.IMPROVED: 1}
    assert found.tallies[1].hits == 0
    assert found.smallest_caught is None
    assert found.exit_code is ExitCode.REGRESSED


def test_the_smallest_change_is_one_from_which_on_all_are_seen() -> None:
    rows = {**COPIES, "+1%": (0.01, 1.06), "+2%": (0.02, 1.0), "+3%": (0.03, 1.04), "+5%": (0.05, 1.06)}
    assert report([self_test_group(rows)]).smallest_caught == 0.03


def test_more_than_nineteen_in_twenty_have_to_be_caught() -> None:
    blind = {"+3% blind": (0.03, 1.0)}
    seen = {f"+3% {number}": (0.03, 1.03) for number in range(19)}
    assert report([self_test_group({**COPIES, **seen, **blind})]).met
    seen.popitem()
    assert not report([self_test_group({**COPIES, **seen, **blind})]).met


def test_nothing_compared_is_nothing_proven() -> None:
    lost = dict.fromkeys((*COPIES, *CAUGHT), "killed")
    found = report([self_test_group({**COPIES, **CAUGHT}, not_measured=lost)])
    assert found.identical.cases == 0
    assert not found.met
    assert found.exit_code is ExitCode.MISSING
    assert not report([]).met


def test_one_row_that_is_missing_is_not_passed_over() -> None:
    found = report([self_test_group({**COPIES, **CAUGHT}, not_measured={"copy 0": "killed"})])
    assert found.identical.cases == 3
    assert found.met
    assert found.exit_code is ExitCode.MISSING


def test_each_rule_and_ours_are_counted_on_the_same_rows() -> None:
    rows = {**COPIES, **CAUGHT, "+50%": (0.5, 1.5)}
    found = {score.rule: score for score in scores([self_test_group(rows)])}
    assert len(found) == 8
    for name, score in found.items():
        turns = 1 if name == OURS else 5
        assert score.cases == {0.0: 4 * turns, 0.03: 2 * turns, 0.5: turns}
        assert score.rate(0.5) == 1.0
    assert found[OURS].rate(0.0) == 0
    assert found["pytest-benchmark, mean > 5 %"].rate(0.03) == 0
    assert found[OURS].rate(0.03) == 1
    assert found[OURS].rate(0.07) is None


def test_the_trials_that_confirm_are_not_shown_to_other_rules() -> None:
    group = self_test_group({"copy": (0.0, 1.0)}, confirmed={"copy": 2.0})
    first = self_test_group({"copy": (0.0, 1.0)})
    assert [score.hits for score in scores([group])] == [score.hits for score in scores([first])]
