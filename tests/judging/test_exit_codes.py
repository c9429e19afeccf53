"""What a script may conclude."""

from __future__ import annotations

import pytest

from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.verdict import Verdict


def test_the_numbers_are_a_promise() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "REGRESSED": 3,
        "INCONCLUSIVE": 4,
        "INACCURATE": 5,
        "MISSING": 6,
    }


def test_no_rows_is_a_failure() -> None:
    assert worst([]) is ExitCode.MISSING
    assert worst([], allow_inconclusive=True) is ExitCode.MISSING


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["improved", "same"], ExitCode.OK),
        (["same", "inconclusive"], ExitCode.INCONCLUSIVE),
        (["inconclusive", "regressed"], ExitCode.REGRESSED),
        (["regressed", "missing", "inconclusive"], ExitCode.MISSING),
        (["missing", "regressed", "inaccurate"], ExitCode.INACCURATE),
    ],
)
def test_the_first_of_the_precedence_is_returned(verdicts: list[str], code: ExitCode) -> None:
    assert worst(Verdict(each) for each in verdicts) is code
    assert worst(Verdict(each) for each in reversed(verdicts)) is code


def test_inconclusive_rows_pass_only_where_allowed_and_hide_nothing() -> None:
    assert worst([Verdict.INCONCLUSIVE], allow_inconclusive=True) is ExitCode.OK
    assert worst([Verdict.INCONCLUSIVE, Verdict.REGRESSED], allow_inconclusive=True) is ExitCode.REGRESSED
