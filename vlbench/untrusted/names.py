"""Names out of files that people hand in, cleaned for what reads them next: one small function per target.

A name can hold whatever its author liked: escape sequences that paint over a terminal, a line that a CI runner obeys,
a formula that a spreadsheet runs, markup. `SafeConsole` does for tables what `terminal` does for a string.
"""

import re
from collections.abc import Mapping

LONGEST = 200
"""Characters of a name or a source line that are shown."""

_COMMAND = re.compile(
    r"::(?=(?:add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env"
    r"|set-output|stop-commands|warning)\b)|##(?=\w*\[)",
    re.IGNORECASE,
)
"""How the commands begin that runners of CI obey wherever they meet them in the output."""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML 1.0 document may hold, escaped or not."""
_MARKUP = str.maketrans({each: f"&#{ord(each)};" for each in "\\`*_[]<>&|~$"})
_REFERENCE = re.compile(r"@(?=\w)|#(?=\d)")
_APART = "\\g<0>\u200b"
_LINK = re.compile(r":(?=//)|\bwww(?=\.)|\bmailto(?=:)", re.IGNORECASE)
"""How addresses begin that GitHub makes links of, in code as well."""
_BLOCK = re.compile(r"^(?:[-+=#](?=[-=# ]|$)|\d(?=\d{0,8}[.)](?: |$)))")
"""What makes a list, a heading or a rule of a line that begins with it."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def line(text: str, most: int = LONGEST) -> str:
    """One line without control and invisible characters, cut to `most` characters."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def terminal(text: str) -> str:
    """Any number of lines, without what a terminal or a CI runner would obey rather than show."""
    return _COMMAND.sub(lambda found: " ".join(found[0]), _shown(text))


def json_text(text: str) -> str:
    """A JSON document: the same values, with escapes for what a terminal or a CI runner would obey."""
    text = _COMMAND.sub(lambda found: "".join(f"\\u{ord(each):04x}" for each in found[0]), text)
    return "\n".join(row if row.isprintable() else "".join(map(_seen, row)) for row in text.split("\n"))


def xml(text: str) -> str:
    """Character data of XML without what cannot be seen; whatever writes the elements has still to escape it."""
    return _shown(_NOT_XML.sub("", text))


def csv_row(row: Mapping[str, object]) -> dict[str, object]:
    """A row of CSV: text on one line, and none that a spreadsheet would take for a formula; figures as they are."""
    return {name: _cell(value) if isinstance(value, str) else value for name, value in row.items()}


def markdown(text: str, most: int = LONGEST) -> str:
    """As it is, without markup, but with what stands between two backticks as code.

    A space of no width keeps `@name` and `#12` from being references, and addresses from being links.
    """
    parts = line(text, most).split("`")
    parts[1:-1:2] = [markdown_code(part, most) for part in parts[1:-1:2]]
    if len(parts) % 2 == 0:  # the last backtick has no other
        parts[-2:] = [f"{parts[-2]}`{parts[-1]}"]
    parts[::2] = [_LINK.sub(_APART, _REFERENCE.sub(_APART, part)).translate(_MARKUP) for part in parts[::2]]
    return _BLOCK.sub(lambda found: f"&#{ord(found[0])};", "".join(parts))


def markdown_code(text: str, most: int = LONGEST) -> str:
    """As code, with every sign that could be markup as an HTML entity."""
    return f"<code>{_LINK.sub(_APART, line(text, most)).translate(_MARKUP)}</code>"


def github_message(text: str) -> str:
    """The message of a workflow command, escaped as GitHub's runner undoes it."""
    return _shown(text).replace("%", "%25").replace("\n", "%0A")


def github_property(text: str) -> str:
    """A property of a workflow command, which ends at a colon or a comma."""
    return github_message(text).replace(":", "%3A").replace(",", "%2C")


def _shown(text: str) -> str:
    """Lines of what can be seen; other space is blank."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else " " * each.isspace() for each in text)


def _cell(text: str) -> str:
    text = line(text, most=max(LONGEST, len(text)))
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _seen(character: str) -> str:
    """One that cannot be seen as JSON escapes it: in UTF-16, so that one beyond 16 bits is two."""
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
