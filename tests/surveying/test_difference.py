"""Two atlases held against each other, made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.errors import IncomparableError, UsageError
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.verdict import Verdict
from vlbench.record.atlas import Atlas, AtlasCount, AtlasLine, AtlasRow, AtlasWay, read_atlas
from vlbench.record.site import Where
from vlbench.surveying.difference import differences

SPLIT = "torch.split(x, lengths.tolist(), dim=2)"


def line(source: str, number: int, times: int) -> AtlasLine:
    return AtlasLine(event="read-back", where=Where(source, "package/tower.py", number), times=times)


def count(waits: int, *lines: AtlasLine, operations: int = 100) -> AtlasCount:
    return AtlasCount(
        waits=waits, uploads=1, implicit_uploads=0, operations=operations, attention_calls=2, plans=1, lines=lines
    )


def row(name: str, counted: AtlasCount | None, failed: str = "") -> AtlasRow:
    way = AtlasWay(grid="device", count=counted, failed=failed)
    return AtlasRow(name=name, tower=f"package.tower:{name}", config="Config", ways=(way,), failed=failed)


def made(version: str, *rows: AtlasRow, **more: object) -> Atlas:
    facts = {"vlbench": "0", "package": "package", "version": version, "torch": "2.11", "profile": "sm_90"}
    whole = {**facts, "cudnn": "9.19", "dtype": "bfloat16", "grids": ((1, 36, 36),), "rows": rows, **more}
    return Atlas.model_validate(whole).with_checksum()


def test_a_line_that_came_is_named_with_its_file_and_number() -> None:
    before = made("1.0", row("a", count(1, line("sizes.tolist()", 7, 1))))
    after = made("1.1", row("a", count(9, line("sizes.tolist()", 9, 1), line(SPLIT, 40, 8))))
    judged = differences(before, after)
    (only,) = judged.rows
    assert only.verdict is Verdict.REGRESSED
    assert only.reason == f"host_syncs rose from 1 to 9; came: package/tower.py:40: {SPLIT}, 8x"
    assert [(move.name, move.before, move.after, move.line) for move in only.moves if move.kind == "line"] == [
        (f"read-back: {SPLIT}", 0, 8, 40)
    ]  # the other one only moved
    assert (judged.exit_code, judged.before, judged.after) == (ExitCode.REGRESSED, "package 1.0", "package 1.1")
    (back,) = differences(after, before).rows
    assert back.verdict is Verdict.IMPROVED
    assert f"gone: package/tower.py:40: {SPLIT}, 8x" in back.reason


def test_a_line_in_the_place_of_another_is_no_regression_and_is_told() -> None:
    old, new = (made(version, row("a", count(1, line(source, 1, 1)))) for version, source in (("1", "x"), ("2", "y")))
    (only,) = differences(old, new).rows
    assert only.verdict is Verdict.SAME
    assert only.reason == "all counters are equal; gone: package/tower.py:1: x, 1x; came: package/tower.py:1: y, 1x"


def test_towers_that_came_and_went() -> None:
    before = made("1.0", row("a", count(1)), row("gone", count(1)), row("broken", None, "it raised"))
    after = made("1.1", row("a", None, "it raised at tower.py:3"), row("new", count(1)), row("broken", None, "still"))
    judged = differences(before, after)
    assert {each.cell: each.reason for each in judged.rows} == {
        "a": "it raised at tower.py:3",
        "gone": "package 1.1 has no such tower",
    }
    assert judged.notes == ("new in package 1.1: new",)
    assert judged.exit_code is ExitCode.MISSING
    assert [each.cell for each in differences(before, after, all_stored=True).rows if each.cell == "new"] == ["new"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"torch": "2.12"}, "torch 2.11"), ({"grids": ((1, 8, 8),)}, "grids 1x36x36"), ({"package": "timm"}, "package")],
)
def test_what_was_counted_otherwise_does_not_compare(changed: dict[str, object], said: str) -> None:
    with pytest.raises(IncomparableError, match=said):
        differences(made("1.0", row("a", count(1))), made("1.1", row("a", count(1)), **changed))


def test_a_file_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "atlas.json"
    path.write_text(made("1.0", row("a", count(9))).model_dump_json())
    assert read_atlas(path).rows[0].counted[0].count == count(9)
    path.write_text(path.read_text().replace('"waits":9', '"waits":1'))
    with pytest.raises(UsageError, match="its checksum does not fit"):
        read_atlas(path)
    with pytest.raises(IncomparableError, match="no such file"):
        read_atlas(tmp_path / "other.json")
