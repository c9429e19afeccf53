from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from tests.export.judged_examples import ANYTHING, TOWER, anything, counted, one_of_everything, timed
from vlbench.export.formats.junit import junit_text
from vlbench.export.sheet import compared
from vlbench.judging.judged import Judged
from vlbench.judging.verdict import Verdict

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"error", "failure", "skipped", "system-out"},
}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "property": {"name", "value"},
    "testcase": {"name", "classname"},
    "error": {"type", "message"},
    "failure": {"type", "message"},
}
"""What the schema of Jenkins' JUnit reports has, as far as it is used here."""


def follows_the_schema(element: Element) -> bool:
    return (
        set(element.attrib) == ATTRIBUTES.get(element.tag, set())
        and {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        and all(map(follows_the_schema, element))
    )


def test_one_of_everything(snapshot: SnapshotAssertion) -> None:
    assert junit_text(compared(one_of_everything())) == snapshot


@anything
@given(ANYTHING)
def test_any_text_is_legal_xml_that_is_red_exactly_where_the_exit_code_is(judged: Judged) -> None:
    root = fromstring(junit_text(compared(judged)).encode())
    assert follows_the_schema(root)
    for element in (root, *root):
        for name, tag in {"errors": "error", "failures": "failure", "skipped": "skipped", "tests": "testcase"}.items():
            found = str(len(list(element.iter(tag))))
            assert element.get(name, found) == found
    assert (int(root.attrib["failures"]) + int(root.attrib["errors"]) > 0) is (judged.exit_code != 0)


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (Verdict.REGRESSED, "failure"),
        (Verdict.INACCURATE, "failure"),
        (Verdict.INCONCLUSIVE, "failure"),
        (Verdict.MISSING, "error"),
        (Verdict.SAME, "system-out"),
        (Verdict.IMPROVED, "system-out"),
    ],
)
def test_each_verdict_has_its_element(verdict: Verdict, tag: str) -> None:
    judged = one_of_everything(rows=(counted(verdict, reason="why"),))
    (child,) = fromstring(junit_text(compared(judged)).encode()).findall("testsuite/testcase/*")
    assert child.tag == tag
    assert "why" in "".join(child.itertext())


def test_what_has_no_say_or_is_allowed_is_skipped() -> None:
    rows = (
        timed(Verdict.INCONCLUSIVE, TOWER, 1.02, reason="blind"),
        counted(Verdict.REGRESSED, reason="worse", gates=False),
    )
    judged = one_of_everything(rows=rows, allow_inconclusive=True)
    skipped = fromstring(junit_text(compared(judged)).encode()).findall("testsuite/testcase/skipped")
    assert sorted(str(each.text).partition("\n")[0] for each in skipped) == ["inconclusive: blind", "regressed: worse"]


def test_nothing_compared_is_an_error() -> None:
    root = fromstring(junit_text(compared(one_of_everything(rows=()))).encode())
    assert [each.attrib["message"] for each in root.iter("error")] == ["nothing was compared"]
