"""Parts of a plan: whose is which group, and what is refused where they are put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.planned import lines, part
from tests.record.records import FINGERPRINT
from vlbench.errors import IncomparableError, UsageError
from vlbench.matrix.shards import merged, shard_groups
from vlbench.record.plan_file import PlanLine, plan_text, read_plan, sealed
from vlbench.record.schema import Results

PLAN = lines(4)
EXPECTED = Path("plan.jsonl")


def put_together(*parts: Results) -> Results:
    return merged(EXPECTED, PLAN, [(Path(f"{name}.json"), each) for name, each in zip("abcd", parts, strict=False)])


@pytest.mark.parametrize(("groups", "parts"), [(4, 1), (4, 3), (60, 4), (7, 7)])
def test_each_group_is_of_one_part(groups: int, parts: int) -> None:
    found = [list(shard_groups(f"{part + 1}/{parts}", groups)) for part in range(parts)]
    assert sorted(number for each in found for number in each) == list(range(1, groups + 1))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize(
    ("shard", "told"),
    [
        ("0/4", "counted from 1 to n"),
        ("5/4", "counted from 1 to n"),
        ("0/0", "give 1/1"),
        ("a/b", "write it as i/n, such as 1/4"),
        ("1", "write it as i/n"),
        ("-1/4", "write it as i/n"),
        ("1/4/2", "write it as i/n"),
        ("\N{ARABIC-INDIC DIGIT ONE}/4", "write it as i/n"),
        ("1/5", "the plan has 4 groups, which stay whole; take 1 to 4 parts$"),
    ],
)
def test_no_part_is_refused(shard: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^--shard .*{told}"):
        shard_groups(shard, 4)


def test_parts_become_one_file_in_the_order_of_the_plan() -> None:
    one, two = part(PLAN, "1/2", 1, 3), part(PLAN, "2/2", 2, 4)
    whole = put_together(two, one)
    assert [group.point for group in whole.groups] == ["n=1", "n=2", "n=3", "n=4"]
    assert whole.groups == (one.groups[0], two.groups[0], one.groups[1], two.groups[1])
    assert [shard.shard for shard in whole.shards] == ["2/2", "1/2"]
    assert whole.complete


def test_a_line_that_did_not_run_is_named() -> None:
    with pytest.raises(IncomparableError, match=r"line 3 \(multi-image \[n=2\] .* trial 1 of 2\), and 3 more, did not"):
        put_together(part(PLAN, "1/2", 1, 3))
    cut = part(PLAN, "2/2", 2, 4)
    lost = cut.groups[1].model_copy(update={"trials": cut.groups[1].trials[:1], "lost": ("trial 2: SIGKILL",)})
    cut = cut.model_copy(update={"groups": (cut.groups[0], lost)})
    with pytest.raises(IncomparableError, match=r"line 8 .* trial 2 of 2\) did not run \(b.json: trial 2: SIGKILL\)"):
        put_together(part(PLAN, "1/2", 1, 3), cut)


def changed(**fields: Any) -> Callable[[Results], Results]:
    return lambda made: made.model_copy(update=fields)


def of_shard(**fields: Any) -> Callable[[Results], Results]:
    return lambda made: made.model_copy(update={"shards": (made.shards[0].model_copy(update=fields),)})


def of_fingerprint(**fields: Any) -> Callable[[Results], Results]:
    return changed(fingerprint=FINGERPRINT.model_copy(update=fields))


def with_another_job(made: Results) -> Results:
    trials = tuple(each.model_copy(update={"id": each.id.replace("job", "other")}) for each in made.groups[0].trials)
    return made.model_copy(update={"groups": (made.groups[0].model_copy(update={"trials": trials}), made.groups[1])})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (of_shard(plan="f" * 16), "b.json: is of another plan"),
        (changed(shards=()), "b.json: no part of a plan"),
        (changed(complete=False), r"b.json: is not complete; go on with `vlbench run .* --out b.json --resume`"),
        (of_shard(end=None), "b.json: is not complete"),
        (of_fingerprint(vlbench="0.2.0"), "b.json: was measured by vlbench 0.2.0 .* and 0.1.0 012345678 in a.json"),
        (of_fingerprint(revision="f" * 40), "b.json: was measured by vlbench 0.1.0 fffffffff, and 0.1.0 012345678"),
        (of_fingerprint(dirty=True), "b.json: was measured by vlbench 0.1.0 012345678 with changes, and"),
        (of_fingerprint(cpu="another CPU"), r"b.json: its machine is of another class .*CPU: a CPU against another"),
        (of_shard(groups=(1, 4)), r"b.json: multi-image n=2 .* is not as plan.jsonl has it"),
        (of_shard(groups=(9, 4)), r"b.json: multi-image n=2 .* is not as plan.jsonl has it"),
        (with_another_job, r"b.json: multi-image n=2 .* is not as plan.jsonl has it"),
    ],
)
def test_what_does_not_belong_beside_the_others_is_refused(change: Callable[[Results], Results], told: str) -> None:
    with pytest.raises(IncomparableError, match=told):
        put_together(part(PLAN, "1/2", 1, 3), change(part(PLAN, "2/2", 2, 4)))


def test_a_group_that_ran_twice_is_refused() -> None:
    again = part(PLAN, "1/2", 1, 3)
    with pytest.raises(IncomparableError, match=r"line 1 .* ran twice, in a.json and b.json; give one of the two"):
        put_together(part(PLAN, "1/2", 1, 3), again)
    with pytest.raises(IncomparableError, match=r"line 5 .* ran twice, in a.json and c.json"):
        put_together(part(PLAN, "1/2", 1, 3), part(PLAN, "2/2", 2, 4), part(PLAN, "3/4", 3))


def test_the_version_of_the_plan_counts_too() -> None:
    old = lines(4, vlbench="0.0.9")
    with pytest.raises(IncomparableError, match=r"was measured by vlbench 0.1.0 012345678, and 0.0.9 in the plan"):
        merged(EXPECTED, old, [(Path("a.json"), part(old, "1/1", 1, 2, 3, 4))])


def edited(made: list[PlanLine]) -> str:
    return plan_text(made).replace("[]", '["x"]', 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no line"),
        (plan_text(PLAN[:5]), "holds 5 of 8 lines; print the plan again"),
        (plan_text(PLAN)[:-40], "line 8: not JSON"),
        (edited(PLAN), "its digest does not fit: a line was edited, moved or added"),
        (plan_text(PLAN).replace('"seconds":60.0', '"seconds":61.0', 1), "its digest does not fit"),
        (plan_text([*PLAN[1:], PLAN[0]]), "its digest does not fit"),
        (plan_text([*PLAN, PLAN[0]]), "its digest does not fit"),
        (plan_text(PLAN).replace('"line":3', '"line":-3'), "line 3: line: Input should be greater"),
        ("[1]\n", "line 1: the file: Input should be"),
    ],
)
def test_a_plan_that_is_not_as_it_was_printed_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_plan(path)


def test_a_plan_is_read_as_it_was_printed(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_text(plan_text(PLAN))
    assert read_plan(path) == PLAN
    assert sealed(PLAN) == PLAN


def of_package(number: int, source: str) -> Results:
    made = part(PLAN, f"{number}/2", number, number + 2)
    rows = tuple(
        each.model_copy(update={"tower": None if each.is_reference else source}) for each in made.groups[0].rows
    )
    return made.model_copy(update={"groups": tuple(each.model_copy(update={"rows": rows}) for each in made.groups)})


def test_a_row_of_two_platforms_is_refused() -> None:
    engine, labelled = "vlbench-engines 0.1.0", "vlbench-engines 0.1.0, CPU platform"
    assert put_together(of_package(1, labelled), of_package(2, labelled)).complete
    with pytest.raises(
        IncomparableError, match=rf"^b.json: exact is of {engine}, and of {labelled} in a.json; run all"
    ):
        put_together(of_package(1, labelled), of_package(2, engine))
