"""SARIF by a strict model of the part of 2.1.0 that is written, and of what code scanning on GitHub asks beyond it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from pydantic import BaseModel, ConfigDict, Field

from tests.export.judged_examples import ANYTHING, MOVES, anything, counted, one_of_everything
from vlbench.export.formats import exporters
from vlbench.export.formats.sarif import sarif_text
from vlbench.export.registry import text_of
from vlbench.export.rules import rule_of, rules
from vlbench.export.sheet import LineFound, Sheet, checked, compared
from vlbench.judging.judged import Judged, Move
from vlbench.judging.verdict import Verdict
from vlbench.record.site import Where

Level = Literal["error", "warning", "note"]


class Strict(BaseModel):
    """Every object of the schema refuses properties that it does not name."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Text(Strict):
    text: str = Field(min_length=1)
    markdown: str | None = None


class Rule(Strict):
    id: str
    shortDescription: Text  # noqa: N815
    fullDescription: Text  # noqa: N815
    help: Text
    properties: dict[str, Any]


class Driver(Strict):
    name: str
    version: str
    rules: list[Rule]


class Artifact(Strict):
    uri: str = Field(pattern=r"^[^/\\:\s][^\\\s]*$")
    uriBaseId: Literal["%SRCROOT%"]  # noqa: N815


class Region(Strict):
    startLine: int = Field(ge=1)  # noqa: N815
    snippet: Text


class Physical(Strict):
    artifactLocation: Artifact  # noqa: N815
    region: Region


class Location(Strict):
    physicalLocation: Physical  # noqa: N815


class Suppression(Strict):
    kind: Literal["inSource"]
    justification: str


class Result(Strict):
    ruleId: str  # noqa: N815
    ruleIndex: int  # noqa: N815
    level: Level
    message: Text
    locations: list[Location] = Field(min_length=1, max_length=1)
    partialFingerprints: dict[str, str] = Field(min_length=1)  # noqa: N815
    suppressions: list[Suppression] | None = None


class Notification(Strict):
    level: Level
    message: Text


class Invocation(Strict):
    executionSuccessful: bool  # noqa: N815
    exitCode: int  # noqa: N815
    toolExecutionNotifications: list[Notification]  # noqa: N815


class Run(Strict):
    tool: dict[Literal["driver"], Driver]
    automationDetails: dict[Literal["id"], str]  # noqa: N815
    originalUriBaseIds: dict[str, dict[Literal["description"], Text]]  # noqa: N815
    columnKind: Literal["unicodeCodePoints"]  # noqa: N815
    invocations: list[Invocation] = Field(min_length=1)
    results: list[Result]


class Log(Strict):
    schema_: str = Field(alias="$schema")
    version: Literal["2.1.0"]
    runs: list[Run] = Field(min_length=1, max_length=1)


def run_of(sheet: Sheet) -> Run:
    (run,) = Log.model_validate_json(text_of(sheet, exporters()["sarif"])).runs
    rules = run.tool["driver"].rules
    assert [each.id for each in rules] == sorted({each.ruleId for each in run.results})
    assert all(rules[each.ruleIndex].id == each.ruleId for each in run.results)
    prints = [each.partialFingerprints["vlbenchLine/v1"] for each in run.results]
    assert len(set(prints)) == len(prints)
    return run


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in ("pkg/attention.py", "pkg/wide name.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("repository")
def test_a_line_that_got_worse_is_a_result_and_other_failures_are_notifications() -> None:
    run = run_of(compared(one_of_everything()))
    (result,) = run.results
    place = result.locations[0].physicalLocation
    assert (place.artifactLocation.uri, place.region.startLine) == ("pkg/attention.py", 88)
    assert (result.ruleId, result.level) == ("regressed/read-back", "error")
    assert "(0 -> 32 in my.towers:vision" in result.message.text
    assert result.message.text.endswith("Advice: take the longest sequence from the host.")
    (invocation,) = run.invocations
    told = {each.message.text: each.level for each in invocation.toolExecutionNotifications}
    assert told["tiny wrong multi-image float32: relative error 0.3 in float32, and 1e-05 is allowed"] == "error"
    assert [level for text, level in told.items() if text.startswith("no line: upload")] == ["note"]
    assert (invocation.exitCode, run.automationDetails["id"]) == (5, "vlbench gate/")


@anything
@given(ANYTHING)
def test_whatever_was_compared_is_valid(judged: Judged) -> None:
    run = run_of(compared(judged))
    assert run.invocations[0].exitCode == judged.exit_code


def found(source: str, line: int, **more: Any) -> LineFound:
    chain = (Where(source, "pkg/wide name.py", line),)
    usual: dict[str, Any] = {"rule": "count/read-back", "level": "warning", "told": f"read-back: {source}"}
    return LineFound(**usual | {"chain": chain, "often": "1x", "cell": "a tower"} | more)


def sheet_of(*lines: LineFound) -> Sheet:
    judged = Judged(command="count", before="the code", after="its counts", rows=(counted(Verdict.SAME),))
    return Sheet("vlbench count", judged=judged, lines=lines, parts=[])


def prints(run: Run) -> dict[str, list[str]]:
    by_source: dict[str, list[str]] = {}
    for each in run.results:
        source = each.locations[0].physicalLocation.region.snippet.text
        by_source.setdefault(source, []).append(each.partialFingerprints["vlbenchLine/v1"])
    return by_source


@pytest.mark.usefixtures("repository")
def test_a_fingerprint_does_not_move_with_its_line_and_changes_with_its_source() -> None:
    one, two = found("x.tolist()", 7), found("x.tolist()", 12)
    before = run_of(sheet_of(one, two, found("y.item()", 9)))
    below = [found("x.tolist()", 17), found("x.tolist()", 30, often="9x"), found("y.item()", 29)]
    assert prints(run_of(sheet_of(*below))) == prints(before)
    assert len(set(prints(before)["x.tolist()"])) == 2
    assert before.results[0].locations[0].physicalLocation.artifactLocation.uri == "pkg/wide%20name.py"
    indented = run_of(sheet_of(one, found("y.item(  )", 9)))
    assert prints(indented)["x.tolist()"] == prints(before)["x.tolist()"][:1]
    assert prints(run_of(sheet_of(found("z.item()", 9))))["z.item()"] != prints(before)["y.item()"]


@pytest.mark.usefixtures("repository")
def test_a_line_of_several_towers_is_one_result_and_a_caller_here_stands_for_a_line_elsewhere() -> None:
    library = (Where("return x.item()", "torch_like/ops.py", 3), Where("ops.item(x)", "pkg/attention.py", 5))
    run = run_of(
        sheet_of(
            found("x.item()", 4, cell="a"),
            found("x.item()", 4, cell="b", often="2x"),
            found("", 0, chain=library, told="read-back: x.item()"),
            found("", 0, chain=library[:1], told="read-back: x.item()"),
            found("x.cpu()", 8, level="note", allowed="the kernel wants numbers"),
        )
    )
    caller, shared, allowed = run.results
    assert caller.locations[0].physicalLocation.artifactLocation.uri == "pkg/attention.py"
    assert "(1x in a, 2x in b)" in shared.message.text
    assert allowed.suppressions == [Suppression(kind="inSource", justification="the kernel wants numbers")]
    (note,) = run.invocations[0].toolExecutionNotifications
    assert note.message.text.startswith("torch_like/ops.py:3: read-back")
    assert "torch_like/ops.py:3" in exporters()["sarif"].left_out(sheet_of(found("", 0, chain=library[:1])))


def test_what_was_not_counted_is_no_success() -> None:
    judged = Judged(command="count", before="a", after="b", rows=(counted(Verdict.MISSING, "x", "no forward"),))
    (invocation,) = run_of(checked("vlbench count", [], judged)).invocations
    assert not invocation.executionSuccessful
    assert [(each.level, each.message.text) for each in invocation.toolExecutionNotifications] == [
        ("error", "x: no forward")
    ]


def test_every_rule_has_help_and_every_move_a_rule() -> None:
    assert all(title and len(told) > len(title) for title, told in rules().values())
    assert rule_of("implicit upload (first forward): x[[0]]") == "regressed/implicit-upload"
    assert rule_of("allowed read-back (it is meant): x") == "regressed/read-back"
    assert rule_of("something new: x") == "regressed/other"
    assert {rule_of(each.name) for each in MOVES if each.kind == "line"} <= rules().keys()


def test_a_helper_that_a_line_goes_through_does_not_change_its_fingerprint(repository: Path) -> None:
    def mark(through: int) -> dict[str, list[str]]:
        name = f"read-back: f(x), through pkg/helper.py:{through}: x.item()"
        move = Move(kind="line", name=name, before=0, after=3, file="pkg/attention.py", line=through + 1)
        return prints(run_of(compared(one_of_everything(rows=(counted(Verdict.REGRESSED, moves=(move,)),)))))

    assert repository.is_dir()
    assert mark(3) == mark(30)
    assert json.loads(sarif_text(compared(one_of_everything())))["version"] == "2.1.0"
