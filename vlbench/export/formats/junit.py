"""Verdicts as JUnit XML, as GitLab, Jenkins and the reporters of GitHub Actions read it.

A test suite per measure, a test case per row:

- regressed, inaccurate and inconclusive are a `failure`;
- missing is an `error`: nothing was judged;
- what has no say in the exit code, or is allowed to be inconclusive, is `skipped` with its reason;
- improved and the same pass.

A comparison in which nothing could gate is an error of its own, since no test cases would read as success.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet
from vlbench.export.wording import fails, figures, move_in_words, outcome
from vlbench.judging.exit_codes import FAILURES, ExitCode
from vlbench.judging.verdict import Verdict
from vlbench.untrusted.names import line, xml

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged, JudgedRow


@exporter(
    "junit",
    "Write JUnit XML for a CI server here.",
    comparison="a suite per measure, a test per row: regressed, inaccurate and inconclusive fail, missing is an error, "
    "what has no say is skipped",
    tables="a test per row whose accuracy, count or goal was checked, and one for its time, which is skipped unless it "
    "passed; refused by commands that check nothing",
    verdicts=True,
)
def junit_text(sheet: Sheet) -> str:
    """An XML document. Elements and attributes are those that all of the three readers know."""
    judged = sheet.judged
    assert judged is not None  # a command that judges nothing refuses before it gets here
    name = f"vlbench {judged.command}"
    root = Element("testsuites", name=xml(name), time=f"{judged.seconds:.3f}")
    rows = sorted(judged.rows, key=lambda row: row.measure)
    for measure, group in groupby(rows, key=lambda row: row.measure):
        suite = _suite(root, f"{name}: {measure}", judged)
        for row in group:
            _case(suite, row, judged)
    if judged.exit_code is ExitCode.MISSING and not any(row.gates for row in judged.rows):
        case = _add(_suite(root, name, judged), "testcase", classname=f"vlbench.{judged.command}", name="the whole")
        _add(case, "error", type=str(Verdict.MISSING), message=outcome(judged))
    for suite in root:
        _count(suite, ("errors", "failures", "skipped"), [suite])
    _count(root, ("errors", "failures"), list(root))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, name: str, judged: Judged) -> Element:
    suite = _add(root, "testsuite", name=name)
    properties = _add(suite, "properties")
    facts = {"before": judged.before, "after": judged.after, "exit_code": str(int(judged.exit_code))}
    facts |= {"remedy": judged.remedy or ""} | {f"note {number}": note for number, note in enumerate(judged.notes, 1)}
    for fact, value in facts.items():
        if value:
            _add(properties, "property", name=fact, value=value)
    return suite


def _case(suite: Element, row: JudgedRow, judged: Judged) -> None:
    case = _add(suite, "testcase", classname=f"vlbench.{judged.command}.{row.measure}", name=line(row.cell, most=2000))
    told = "\n".join(filter(None, (row.reason, figures(row), *map(move_in_words, row.moves))))
    if fails(row, judged):
        kind = "error" if row.verdict is Verdict.MISSING else "failure"
        _add(case, kind, type=str(row.verdict), message=row.reason).text = xml(told)
    else:
        kind = "skipped" if row.verdict in FAILURES else "system-out"
        _add(case, kind).text = xml(f"{row.verdict}: {told}")


def _count(element: Element, names: Sequence[str], suites: Sequence[Element]) -> None:
    """Write how many test cases there are, and how many of them ended in each of these ways."""
    tags = {"errors": "error", "failures": "failure", "skipped": "skipped"}
    element.set("tests", str(sum(len(suite.findall("testcase")) for suite in suites)))
    for name in names:
        element.set(name, str(sum(len(suite.findall(f"testcase/{tags[name]}")) for suite in suites)))


def _add(parent: Element, tag: str, **attributes: str) -> Element:
    return SubElement(parent, tag, {name: xml(value) for name, value in attributes.items()})
