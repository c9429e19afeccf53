"""Every target gets a name so that it can only be read, never obeyed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from xml.etree.ElementTree import fromstring

import pytest
from rich.table import Table
from rich.text import Text

from vlbench.export.formats.svg import svg_text
from vlbench.export.sheet import Sheet, Words
from vlbench.untrusted import names
from vlbench.untrusted.console import SafeConsole

EVIL = "\x1b[2J\x9b31m\u202ekernel\n::error::pwned\n##[warning]x\x07 \ud800 <b>&|`@me` #1"


@pytest.mark.parametrize("clean", [names.line, names.terminal, names.markdown, names.markdown_code])
def test_nothing_that_a_terminal_obeys_is_left(clean: Callable[[str], str]) -> None:
    cleaned = clean(EVIL)
    assert all(each.isprintable() or each in "\n\u200b" for each in cleaned)
    cleaned.encode()


@pytest.mark.parametrize("text", ["::error::x", "a ::Warning file=a::x", "##[error]x", "##vso[task.setvariable]x"])
def test_no_command_of_a_ci_runner_is_left(text: str) -> None:
    assert names.terminal(text).replace(" ", "") == text.replace(" ", "")
    assert names.terminal(text) != text
    cleaned = names.json_text(json.dumps(text))
    assert json.loads(cleaned) == text
    assert text not in cleaned


def test_c_plus_plus_stays_readable() -> None:
    name = "void at::native::elementwise_kernel<4, ns::errors>(int)"
    assert names.terminal(name) == name


@pytest.mark.parametrize("text", ["\x9b31m", "\u202e", "\U000e0001", "grün", "\x7f"])
def test_json_keeps_its_values(text: str) -> None:
    cleaned = names.json_text(json.dumps({"name": text}, ensure_ascii=False, indent=1))
    assert json.loads(cleaned) == {"name": text}
    assert all(each.isprintable() or each == "\n" for each in cleaned)


def test_xml_can_hold_it() -> None:
    assert names.xml("a\u202eb") == "ab"
    cleaned = names.xml("x\x1b\x00y")
    assert fromstring(f"<a>{cleaned}</a>").text == "xy"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("  @SUM(1)", "'@SUM(1)"),
        ("\t=1", "'=1"),
        ("+8 %", "'+8 %"),
        ("-0.5", "-0.5"),
        (-0.5, -0.5),
        (None, None),
        ("a\nb", "a b"),
        ("qwen+best", "qwen+best"),
    ],
)
def test_a_spreadsheet_runs_nothing(value: object, cell: object) -> None:
    out = StringIO()
    csv.DictWriter(out, ["a"]).writerow(names.csv_row({"a": value}))
    assert next(csv.reader(StringIO(out.getvalue())), [""]) == ["" if cell is None else str(cell)]


def test_markdown_has_no_markup_and_no_references() -> None:
    for begin in ("- a", "+ a", "1. a", "12) a", "# a", "---", "-", "==="):
        assert names.markdown(begin) == f"&#{ord(begin[0])};{begin[1:]}"
    assert [names.markdown(text) for text in ("-7.3 %", "+1", "1.5 ms")] == ["-7.3 %", "+1", "1.5 ms"]
    assert names.markdown("a|b <i> @me #1 `x*y`") == ("a&#124;b &#60;i&#62; @\u200bme #\u200b1 <code>x&#42;y</code>")


def test_annotations_end_where_they_should() -> None:
    assert names.github_message("50%\n::error::") == "50%25%0A::error::"
    assert names.github_property("a:b,c") == "a%3Ab%2Cc"


def test_a_console_obeys_nothing_and_keeps_its_own_colours() -> None:
    out = StringIO()
    console = SafeConsole(file=out, width=80, force_terminal=True, color_system="standard", record=True)
    table = Table("[bold]name")
    table.add_row(Text(EVIL, style="red"))
    console.print(table)
    console.print(EVIL)
    shown = out.getvalue()
    assert "\x1b[31m" in shown
    assert not {"\x1b[2J", "\x9b", "\u202e", "\x07"} & {
        shown[at : at + size] for at in range(len(shown)) for size in (1, 4)
    }
    assert "\n::error" not in shown
    assert "[bold]name" in shown
    fromstring(console.export_svg(title=names.line(EVIL)))


@pytest.mark.parametrize("address", ["https://evil.com/x", "www.evil.com", "HTTP://evil.com", "mailto:ada"])
def test_no_address_becomes_a_link(address: str) -> None:
    for written in (names.markdown(address), names.markdown_code(address), names.markdown(f"`{address}`")):
        assert address not in written
        assert address in written.replace("\u200b", "")


def test_a_picture_holds_nothing_that_turns_its_text_round() -> None:
    hostile = "a\u202eb\u2066c\x07d\u200e\x1b[31m"
    picture = svg_text(Sheet(hostile, [Words(hostile)]))
    assert all(each.isprintable() or each == "\n" for each in picture)
