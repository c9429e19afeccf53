from __future__ import annotations

import pytest

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.towers.models import DEFAULTS, find_model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_found_by_its_name(name: str) -> None:
    assert find_model(name).name == name


def test_defaults_exist() -> None:
    assert {name for name, _ in DEFAULTS.values()} <= MODELS.keys()


def test_an_unknown_model_is_refused_with_the_closest_name_or_all_names() -> None:
    with pytest.raises(
        UsageError, match=r"^--model: there is no model 'qwen2\.5-vl-tinny'; did you mean qwen2\.5-vl-tiny\?$"
    ):
        find_model("qwen2.5-vl-tinny")
    with pytest.raises(UsageError, match="the models are qwen2-vl-2b, "):
        find_model("x")
