"""What the counting process counts and what it refuses, run in this process."""

from __future__ import annotations

from typing import Any

import pytest

from vlbench.counting.job import Counted, CountJob, Event, Finished, Planned, Point
from vlbench.counting.worker import run_job
from vlbench.errors import UsageError

TINY, TOYS = "qwen2.5-vl-tiny", "tests.counting.toy_towers"


def run(*towers: str, **fields: Any) -> list[Event]:
    given: dict[str, Any] = {
        "towers": towers,
        "variants": None,
        "points": (Point(scenario="", label="", grids=((1, 4, 6),)),),
        "profile": "sm_90",
        "dtype": "bfloat16",
    }
    events: list[Event] = []
    run_job(CountJob(**given | fields), events.append)
    return events


@pytest.mark.parametrize(
    ("towers", "fields", "words"),
    [
        (["nowhere:tower"], {}, "nowhere cannot be imported"),
        ([f"{TOYS}:broken"], {}, "the factory raised OSError: no weights here"),
        ([TINY], {"variants": ("host-gird",)}, "there is no flag 'host-gird'; did you mean host-grid?"),
        ([TINY], {"variants": ("batched-windows",)}, "batched-windows needs host-seqlens; add it"),
        ([f"{TOYS}:Toy"], {"variants": ("best",)}, "no --tower is one of them; leave --with out"),
        ([TINY], {"points": (Point(scenario="", label="", grids=((1, 3, 4),)),)}, "does not divide a grid of 3x4"),
        ([TINY], {"profile": "sm_42"}, "--as sm_42: no such GPU profile"),
    ],
)
def test_refused_in_one_sentence(towers: list[str], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        run(*towers, **fields)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_alone_is_its_reference_tower_and_presets_and_among_others_it_has_its_name() -> None:
    planned, *counted, finished = run(TINY)
    assert isinstance(planned, Planned)
    assert planned.rows == ("baseline", "classic", "exact", "best")
    assert [each.row.name for each in counted if isinstance(each, Counted)] == list(planned.rows)
    assert isinstance(finished, Finished)
    both = run(TINY, f"{TOYS}:Toy", variants=("host-grid", "baseline", "hf-sdpa"))[0]
    assert isinstance(both, Planned)
    assert both.rows == (TINY, f"{TINY}+host-grid", "hf-sdpa", f"{TOYS}:Toy")


def test_a_plan_that_no_tower_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="--plan: handing a plan in is not offered by tests"):
        run(f"{TOYS}:Toy", plan=True)


def test_a_plan_that_is_none_is_not_counted_as_one() -> None:
    failed = {each.row.name: each.row.failed for each in run(f"{TOYS}:NO_PLAN", plan=True) if isinstance(each, Counted)}
    inside, *handed_in = failed.values()
    assert inside is None
    told = "TypeError: prepare gave a NoneType; it must give a dict of what the call takes beside its arguments"
    assert set(handed_in) == {told}
    same = [each.row.failed for each in run(f"{TOYS}:ONE_PLAN", plan=True) if isinstance(each, Counted)]
    assert same[:3] == [None] * 3
    assert all("prepare gives the same with host_lengths as without" in (each or "") for each in same[3:])
