from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests.export.judged_examples import ANYTHING, all_the_same, anything, one_of_everything
from vlbench.export.formats.json import json_text
from vlbench.export.sheet import compared
from vlbench.judging.judged import Judged


@anything
@given(ANYTHING)
def test_all_of_it_comes_back(judged: Judged) -> None:
    read = json.loads(json_text(compared(judged)), parse_constant=pytest.fail)
    assert read.pop("exit_code") == int(judged.exit_code)
    read.pop("expected_false_rows")
    assert Judged.model_validate_json(json.dumps(read)) == judged


def test_figures_of_the_whole() -> None:
    read = json.loads(json_text(compared(one_of_everything())))
    assert (read["exit_code"], read["expected_false_rows"]) == (5, pytest.approx(5 * 3e-4))
    assert json.loads(json_text(compared(all_the_same())))["expected_false_rows"] == 0
