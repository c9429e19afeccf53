"""What a page is made of, and what may never be in one."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import vlbench
from tests.export.groups import quick_look, voted
from tests.export.judged_examples import one_of_everything
from tests.record.records import FINGERPRINT, died, group, results, timed, trial
from tests.reporting.examples import counted, ladder, predicted, sweep
from tests.reporting.reading_back import Page
from vlbench.api.measured import Measured
from vlbench.api.reporting import Reported
from vlbench.api.results import Verdicts
from vlbench.errors import UsageError
from vlbench.record.files import write_results

EVIL = "<script>alert(1)</script>\x1b[2J\u202e&\"'`{{ 7*7 }}](http://evil.example)"


def html_of(*given: object) -> str:
    return vlbench.report(list(given), progress=False).html()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everything() -> Reported:
    """A report of one of each kind."""
    run = Measured(results(quick_look(), voted()))
    given = [run, Measured(ladder()), Measured(sweep()), Verdicts(one_of_everything()), counted(), predicted()]
    return vlbench.report(given, progress=False)


@pytest.fixture(scope="module")
def text(everything: Reported) -> str:
    return everything.html()


def test_the_structure_of_a_page(text: str, snapshot: SnapshotAssertion) -> None:
    page = Page(text)
    tables = [f"{each.chapter} | {each.name} | {', '.join(each.heads)}" for each in page.tables]
    assert [f"{level} {text}" for level, text in page.headings] + tables == snapshot


def test_nothing_is_loaded_and_no_script_runs_but_ours(text: str) -> None:
    page = Page(text)
    assert [each for each in page.loads if not each.startswith(("#", "data:,"))] == []
    assert re.search(r"url\(|@import|@font-face", text) is None
    assert not {"iframe", "object", "embed", "img", "form", "base"} & {*page.elements}
    assert page.elements.count("script") == 1
    (script,) = re.findall(r"<script>(.*)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert unescape(policy).split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        f"script-src 'sha256-{digest}'",
    ]


def test_names_of_others_are_text() -> None:
    run = results(group(trial(timed(EVIL, 0.5)), scenario=EVIL, point=EVIL), command=EVIL)
    run = run.model_copy(update={"fingerprint": FINGERPRINT.model_copy(update={"cpu": EVIL})})
    text = html_of(Measured(run), predicted(dtype=EVIL))
    page = Page(text)
    assert page.elements.count("script") == 1
    assert "<script>alert" not in text
    assert not {"\x1b", "\u202e"} & {*text}
    assert "{{ 7*7 }}" in unescape(text), "names are no templates"
    assert all("evil" not in each for each in page.loads)
    assert vlbench.report(Measured(run), progress=False).markdown().count("<script") == 0


def test_two_machines_never_share_a_ratio() -> None:
    other = FINGERPRINT.model_copy(update={"cpu": "another CPU"})
    fast = results(group(trial(timed("best", 0.5)))), results(group(trial(timed("best", 0.25))), fingerprint=other)
    made = vlbench.report([Measured(each) for each in fast], progress=False)
    assert made.record.warnings[0].startswith("these files are from 2 classes of machines")
    tiles = [answer.tiles[1].answer.value for answer in made.record.answers]
    assert [tile["speed_up"] for tile in tiles] == pytest.approx([2.0, 4.0])  # type: ignore[index, call-overload]
    both = [each for each in made.record.chapters if each.source == ""]
    assert [each.title for each in both] == ["What was not measured"], "no other chapter is of two files"
    alone = vlbench.report(Measured(fast[0]), progress=False)
    assert not any("machines" in each for each in alone.record.warnings)


def test_the_first_screen_says_what_a_speed_up_does_not() -> None:
    on_cpu, over_reference = "a time on a CPU says nothing of a GPU", "the reference tower is slower than any one stack"
    made = group(trial(timed("best", 0.5)))
    mine = tuple(row.model_copy(update={"tower": "mine"}) for row in made.rows)
    changes = ({}, [on_cpu, over_reference]), ({"device": "cuda"}, [over_reference]), ({"rows": mine}, [on_cpu])
    for changed, told in changes:
        text = html_of(Measured(results(made.model_copy(update=changed))))
        assert [each for each in (on_cpu, over_reference) if each in text] == told


def test_what_is_wrong_or_missing_is_never_the_set() -> None:
    run = results(group(trial(timed("no-einops", 1.5)), lost=("trial 2: no end after 900 s",)))
    answer = vlbench.report(Measured(run), progress=False).record.answers[0]
    assert [tile.answer.style for tile in answer.tiles][:2] == ["warn", "warn"], "what is slower is no gain"
    assert (answer.tiles[0].answer.shown, answer.flags) == ("none shown", ())
    one = group(trial(timed("my:Tower", 1.5)))
    mine = one.model_copy(update={"rows": (*one.rows[:-1], one.rows[-1].model_copy(update={"flags": ()}))})
    answer = vlbench.report(Measured(results(mine)), progress=False).record.answers[0]
    assert answer.tiles[0].told == "my:Tower, the fastest row"
    wrong = results(group(trial(timed("no-einops", 0.5).model_copy(update={"timings": {}, "not_measured": "killed"}))))
    answer = vlbench.report(Measured(wrong), progress=False).record.answers[0]
    assert [tile.answer.shown for tile in answer.tiles][:2] == ["none", "-"]


def test_what_was_neither_checked_nor_timed_is_not_called_so() -> None:
    lost = {"timings": {}, "accuracy": None, "not_measured": "no time was given to measure"}
    first = trial(timed("best", 1.0, **lost))
    run = first.model_copy(update={"variants": (first.variants[0].model_copy(update=lost), *first.variants[1:])})
    tiles = vlbench.report(Measured(results(group(run))), progress=False).record.answers[0].tiles
    assert [tile.told for tile in tiles[2:]] == ["no row was checked", "not known how busy: nothing was timed"]
    both = vlbench.report(Measured(results(group(trial(timed("a", 0.5), died("b"))))), progress=False)
    tiles = both.record.answers[0].tiles
    assert tiles[2].told.endswith("; 1 of 1 rows passed, 1 not checked"), "the reference is no row that is checked"
    assert tiles[3].told == "nothing tells of a busy machine"


def test_a_row_whose_plan_is_handed_in_is_never_the_set() -> None:
    """No flag switches that on."""
    made = group(*(trial(timed("a", 0.5), timed("b", 0.25), number=each, confirms=each > 4) for each in range(10)))
    first, inside, handed_in = made.rows
    rows = (first, inside, handed_in.model_copy(update={"plan": "device"}))
    for given, found in ((made.rows, "b"), (rows, "a")):
        run = Measured(results(made.model_copy(update={"rows": given})))
        (answer,) = vlbench.report(run, progress=False).record.answers
        assert (answer.tiles[0].answer.shown, answer.flags) == (found, (found,))


def test_what_was_not_measured_has_its_reason() -> None:
    rows = Page(html_of(Measured(results(quick_look(), voted())))).table("not_measured").rows
    said = {what: why for (_, *_), (what, *_), (why, *_) in rows}
    assert any("rope-cache" in what and "SIGKILL" in why for what, why in said.items())
    assert any(what.startswith("a trial: ") and "no end after 900 s" in why for what, why in said.items())
    assert "cumulative" in said["the ladder"]


def test_markdown_has_lines_of_80_columns_whole_tables_and_the_same_answers(everything: Reported) -> None:
    lines = [unescape(re.sub("<.*?>|\u200b", "", line)) for line in everything.markdown().splitlines()]
    assert max(len(line) for line in lines if not line.startswith(("|", "#"))) <= 80
    for answer in everything.record.answers:
        for tile in answer.tiles:
            assert any(f"{tile.question}: {tile.answer.shown}" in line for line in lines)
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 20
    assert any("not measured" in line.lower() for line in lines)


def test_markdown_cuts_no_name_and_no_verdict() -> None:
    name = "host-seqlens+" * 20 + "best"
    run = results(group(trial(timed(name, 1.0)), scenario=name))
    text = vlbench.report(Measured(run), progress=False).markdown()
    assert ("..." in text, text.count(name) > 2, "not distinguishable" in text) == (False, True, True)


@pytest.mark.parametrize("given", [[], ["a.json", "a.json"], ["none.json"], ["text.json"], ["other.json"]])
def test_what_cannot_be_read_is_one_sentence(given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_results(results(quick_look()), Path("a.json"))
    Path("text.json").write_text("no JSON")
    Path("other.json").write_text("{}")
    with pytest.raises(UsageError) as caught:
        vlbench.report(given, "page.html", progress=False)
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("page.html").exists()
