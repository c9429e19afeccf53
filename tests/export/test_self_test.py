from __future__ import annotations

import re
from datetime import UTC, datetime

from tests.export.rendered import shown
from tests.judging.self_tests import self_test_group
from vlbench.export.self_test import markdown, self_test_sheet, sentences
from vlbench.record.fingerprint import take_fingerprint
from vlbench.record.schema import CellGroup, Results
from vlbench.selftest.other_rules import scores
from vlbench.selftest.verdicts import report

ROWS = {"copy 1": (0.0, 1.0), "copy 2": (0.0, 1.0), "+3% 1": (0.03, 1.03), "+5% 1": (0.05, 1.05)}


def view(groups: list[CellGroup]) -> str:
    return shown(self_test_sheet(report(groups), scores(groups)).parts)


def test_the_table_counts_and_bounds() -> None:
    lines = view([self_test_group(ROWS)]).splitlines()
    assert max(map(len, lines)) <= 80
    assert re.fullmatch(r"nothing +2 +\S+ % +0 +0 +0 +2 +0 % under 77.6 % *", lines[1])
    assert re.fullmatch(r"\+3 % +1 +\+[23]\.\d % +1 +0 +0 +0 +100 % \[3, 100\] *", lines[2])
    assert any(line.startswith("asv, Mann-Whitney") for line in lines)


def test_the_sentences_say_what_is_proven_and_what_is_not() -> None:
    found = sentences(report([self_test_group(ROWS)]))
    assert found[0].startswith("False alarms: 0 of 2 comparisons of identical programs, a rate under 77.6 %.")
    assert "not independent" in found[1]
    assert "0 of 1 with a false alarm, a rate under 95.0 %" in found[1]
    assert found[2].startswith("Smallest change that is seen here: +3.0 %, from which on at least 80% were caught.")
    assert found[3] == "Goal (no false alarm, and +3.0 % caught in 95%): met."
    assert sentences(report([])) == ["Nothing was compared, so nothing is proven."]


def test_the_page_says_where_it_comes_from() -> None:
    groups = (self_test_group(ROWS),)
    results = Results(
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        command="vlbench self-test",
        fingerprint=take_fingerprint("cpu"),
        groups=groups,
    )
    page = markdown(results, report(groups), scores(groups))
    assert "`vlbench self-test` on 2026-01-02: " in page
    assert "1 group of 5 trials, about 20 rounds each, qwen2-vl-tiny, float32, 1 thread" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables[:5]}) == 1
    assert tables[-1].startswith("| vlbench, 4 of 5 paired trials")
