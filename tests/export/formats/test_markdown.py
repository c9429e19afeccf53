from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token
from syrupy.assertion import SnapshotAssertion

from tests.export.judged_examples import ANYTHING, MOVES, all_the_same, anything, counted, one_of_everything
from vlbench.export.formats.markdown import MARK, STEP_SUMMARY, markdown_text
from vlbench.export.sheet import compared
from vlbench.export.wording import is_quiet, ordered
from vlbench.judging.judged import Judged
from vlbench.judging.verdict import Verdict
from vlbench.untrusted.names import line

OURS = {"text", "text_special", "html_inline", "softbreak", "strong_open", "strong_close"}
"""What there is in a line; no link, no emphasis and no code is among it."""
MARKDOWN = MarkdownIt("commonmark").enable("table")


def tables(text: str) -> Iterator[list[list[str]]]:
    """The text of each cell of each table, as a reader sees it."""
    for token in MARKDOWN.parse(text):
        if token.type == "table_open":
            rows: list[list[str]] = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level >= 4:
            rows[-1].append(seen(token))
        elif token.type == "table_close":
            yield rows


def seen(token: Token) -> str:
    return "".join(child.content for child in token.children or () if child.type in ("text", "text_special"))


def test_one_of_everything(snapshot: SnapshotAssertion) -> None:
    assert markdown_text(compared(one_of_everything())) == snapshot


@anything
@given(ANYTHING)
def test_whatever_the_names_are_tables_stay_tables_and_no_text_is_markup(judged: Judged) -> None:
    text = markdown_text(compared(judged), STEP_SUMMARY)
    loud = [row for row in ordered(judged) if not is_quiet(row)]
    quiet = [row for row in ordered(judged) if is_quiet(row)]
    found = list(tables(text))
    assert all(len(row) == len(table[0]) in (3, 4) for table in found for row in table)
    if loud:
        assert [row[1] for row in found[0][1:]] == [line(row.cell) for row in loud]
    if quiet:
        assert [row[0] for row in found[-1][1:]] == [line(row.cell) for row in quiet]

    tokens = MARKDOWN.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= OURS
    tags = {child.content for child in inline if child.type == "html_inline"}
    assert tags <= {"<code>", "</code>", "<br>"}
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert sum(child.type == "strong_open" for child in inline) == bool(judged.remedy and judged.exit_code)


@pytest.mark.parametrize("words", ["@you", "see #12"])
def test_a_reason_mentions_nobody(words: str) -> None:
    text = markdown_text(compared(one_of_everything(rows=(counted(Verdict.REGRESSED, reason=words),))))
    assert words not in text
    assert words in text.replace("\u200b", "")


@pytest.mark.parametrize(
    ("words", "html"),
    [
        ("run `a | b`, then `c`", "run <code>a | b</code>, then <code>c</code>"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` alone", "<code>a</code> and ` alone"),
        ("`", "`"),
        ("``x``", "<code></code>x<code></code>"),
    ],
)
def test_backticks_of_a_reason_are_code(words: str, html: str) -> None:
    text = markdown_text(compared(one_of_everything(rows=(counted(Verdict.REGRESSED, reason=words),))))
    assert f"<td>{html}</td>" in MARKDOWN.render(text)


@pytest.mark.parametrize("limit", [300, 2_000, 10_000, 32_000, 65_536])
def test_it_fits_and_what_does_not_is_said(limit: int) -> None:
    rows = tuple(
        counted(Verdict.REGRESSED, f"cell {number} über|<b>", "too long " * 99, moves=MOVES) for number in range(200)
    )
    judged = one_of_everything(rows=rows)
    text = markdown_text(compared(judged), limit)
    assert len(text.encode()) <= limit
    if not text:
        assert limit == 300
        return
    assert text.startswith(f"{MARK}\n### ❌ vlbench gate: regressed\n")
    shown = sum(len(table) - 1 for table in list(tables(text))[:1])
    assert re.search(rf"\n{200 - shown} rows? left out here for want of room", text)
    assert text.count("<details>") == text.count("</details>")


def test_all_the_same_is_short() -> None:
    text = markdown_text(compared(all_the_same()))
    assert text.startswith(f"{MARK}\n### ✅ vlbench gate: passed\n")
    assert "14 rows are the same" in text
    assert "What to do" not in text
