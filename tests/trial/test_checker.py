"""What a checking process says of variants that give no result, and of those that give a wrong one."""

from __future__ import annotations

import pytest

from tests.trial.plans import job
from vlbench.trial.checks import run_checks
from vlbench.trial.job import Checked


@pytest.mark.usefixtures("misbehaving")
def test_who_gives_no_result_is_told_from_who_gives_a_wrong_one() -> None:
    events = run_checks(job("raises", "aborts", "wrong-cos"), timeout=600)
    found = {each.variant: (each.accuracy.passed, each.raised) for each in events if isinstance(each, Checked)}
    names = dict.fromkeys(["baseline", "raises", "aborts", "wrong-cos"], (False, True))
    assert found == names | {"baseline": (True, False), "wrong-cos": (False, False)}
