"""Marked tests that something keeps from being judged: the summary names them, and the session does not pass."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Run

MARKED = """
import pytest

@pytest.mark.vlbench(tower="towers:Nobody", grid="1x4x6", max_syncs=0)
def test_marked(vlbench_gate):
    pass

def test_other():
    pass
"""
SKIP = """
import pytest

@pytest.fixture(autouse=True)
def skipped(request):
    if "marked" in request.node.name:
        pytest.skip("later")
"""
XFAIL = """
import pytest

def pytest_collection_modifyitems(items):
    for each in items:
        if each.get_closest_marker("vlbench"):
            each.add_marker(pytest.mark.xfail(run=False))
"""
REPLACED = """
import vlbench.pytest_plugin.gate
vlbench.pytest_plugin.gate.gate = lambda item: ""
"""
TAKEN_OUT = """
def pytest_collection_modifyitems(items):
    items[:] = [each for each in items if not each.get_closest_marker("vlbench")]
"""
UNMARKED = """
def pytest_collection_modifyitems(items):
    for each in items:
        each.own_markers.clear()
"""
PROTOCOL = """
def pytest_runtest_protocol(item):
    return True if "marked" in item.name else None
"""
WAYS = {
    "skipped": SKIP,
    "expected to fail": XFAIL,
    "run, but its gate was not": UNMARKED,
    "not run": TAKEN_OUT,
    "not run ": PROTOCOL,
}


@pytest.fixture(autouse=True)
def gate_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import vlbench.pytest_plugin.gate

    monkeypatch.setattr(vlbench.pytest_plugin.gate, "gate", vlbench.pytest_plugin.gate.gate)


@pytest.mark.parametrize("why", WAYS)
def test_what_a_conftest_keeps_from_being_judged_fails_the_session(
    pytester: pytest.Pytester, run: Run, why: str
) -> None:
    pytester.makepyfile(MARKED)
    pytester.makeconftest(WAYS[why])
    result = run()
    result.assert_outcomes(passed=1 + why.startswith("run"), skipped=why == "skipped", xfailed="expected" in why)
    result.stdout.fnmatch_lines(["*vlbench: not judged*", f"*::test_marked: {why.strip()}, so the session fails"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_gate_that_was_replaced_judges_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(MARKED)
    pytester.makeconftest(REPLACED)
    result = run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_marked: run, but its gate was not, so the session fails"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


OWN = {"skip": "skipped", "skipif(True, reason='later')": "skipped", "xfail(run=False)": "expected to fail"}


@pytest.mark.parametrize("marker", OWN)
def test_what_the_test_itself_says_is_shown_and_fails_where_that_is_strict(
    pytester: pytest.Pytester, run: Run, marker: str
) -> None:
    pytester.makepyfile(MARKED.replace("@pytest.mark", f"@pytest.mark.{marker}\n@pytest.mark", 1))
    result = run()
    result.stdout.fnmatch_lines([f"*::test_marked: {OWN[marker]}"])
    assert result.ret == pytest.ExitCode.OK
    assert run("--vlbench-strict").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "options", ["-k other", "-kother", "--deselect=test_it.py::test_marked", "--co", "-m 'not vlbench'"]
)
def test_what_the_settings_leave_out_fails(pytester: pytest.Pytester, run: Run, options: str) -> None:
    pytester.makepyfile(test_it=MARKED)
    pytester.makeini(f"[pytest]\naddopts = --color=no {options}\n")
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    assert run(*(["--collect-only"] if options == "--co" else ["-k", "other"])).ret == pytest.ExitCode.OK


def test_what_the_command_line_leaves_out_is_shown_and_fails_where_that_is_strict(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile(MARKED)
    result = run("-k", "other")
    result.stdout.fnmatch_lines(["*::test_marked: deselected"])
    assert result.ret == pytest.ExitCode.OK
    pytester.makeini("[pytest]\nvlbench_strict = true\n")
    result = run("-k", "other")
    result.stdout.fnmatch_lines(["*::test_marked: deselected, so the session fails"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert run("--collect-only").ret == pytest.ExitCode.OK


@pytest.mark.slow
@pytest.mark.parametrize("why", ["skipped", "not run"])
def test_workers_of_xdist_send_home_what_was_not_judged(pytester: pytest.Pytester, run: Run, why: str) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(MARKED)
    pytester.makeconftest(WAYS[why])
    result = pytester.runpytest_subprocess("-n", "2", "-p", "vlbench.pytest_plugin")
    result.stdout.fnmatch_lines([f"*::test_marked: {why}, so the session fails"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
