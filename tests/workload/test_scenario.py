from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from vlbench.workload.mix import Distribution
from vlbench.workload.scenario import CpuTable, Item, Mix, ScenarioFile, ScenarioPoint, parse_pair


@pytest.mark.parametrize("table", [ScenarioFile, CpuTable, Item, Mix, ScenarioPoint, Distribution])
def test_every_field_is_described_and_no_other_is_accepted(table: type[BaseModel]) -> None:
    assert all(field.description for field in table.model_fields.values())
    assert table.model_config["extra"] == "forbid"


def test_height_comes_first() -> None:
    assert parse_pair("480x640") == (480, 640)


@pytest.mark.parametrize(
    "text", ["480", "480x", "x640", "480X640", "480 x 640", "4.5x6", "-1x2", "0x2", "02x2", "1x2x3"]
)
def test_other_spellings_of_a_size_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has to be HEIGHTxWIDTH"):
        parse_pair(text)


def test_a_point_cannot_be_changed() -> None:
    point = ScenarioPoint(scenario="own", item=(Item(size="56x84"),))
    with pytest.raises(ValidationError, match="frozen"):
        point.label = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("limit", "pixels"), [("hub", 12_845_056), ("1M", 1_003_520), (602_112, 602_112)])
def test_limits_by_name_and_number(limit: str | int, pixels: int) -> None:
    assert ScenarioPoint(scenario="own", limit=limit, item=(Item(size="56x84"),)).max_pixels == pixels
