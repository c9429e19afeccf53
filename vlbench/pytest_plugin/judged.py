"""Which marked tests were judged, and which were not: said at the end of a session, whoever kept them from it."""

from collections.abc import Generator
from typing import Any

import pytest

JUDGED = pytest.StashKey[bool]()
"""Of a test that the gate has looked at."""
STRICT = "vlbench_strict"
DESELECTED, NOT_RUN = "deselected", "not run"
_SELECT = ("-k", "-m", "--deselect", "--lf", "--last-failed", "--sw", "--stepwise")
_IDLE = ("--co", "--collect-only", "--setup-only", "--setup-plan")
"""Options that take tests out, and that run none: whoever types them knows, whoever finds them in a file may not."""
_OUTPUT = "vlbench_marked"


class Judging:
    """Follows each marked test from its collection to its report, here or in the workers of xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.why: dict[str, str] = {}
        """By marked test why it was not judged, "" where it was."""
        self.declared: set[str] = set()
        """Marked tests with a marker of their own by which they may be skipped or may fail."""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Before a conftest can take a test out, its markers off, or others on."""
        if item.get_closest_marker("vlbench"):
            self.why[item.nodeid] = NOT_RUN
            if any(item.get_closest_marker(name) for name in ("skip", "skipif", "xfail")):
                self.declared.add(item.nodeid)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """The command line, or a plugin that says what it takes out."""
        self.why.update({item.nodeid: DESELECTED for item in items if item.nodeid in self.why})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The report of a marked test says whether it was judged, also where a worker sends it home."""
        report = yield
        if item.nodeid in self.why:
            report.__dict__["vlbench_judged"] = item.stash.get(JUDGED, False)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that may fail was not judged, whatever its gate said."""
        if not hasattr(report, "vlbench_judged") or report.when == "teardown":
            return
        if report.when == "setup" and report.failed:
            self.why[report.nodeid] = "its set-up failed"
        elif report.skipped and hasattr(report, "wasxfail"):
            self.why[report.nodeid] = "expected to fail"
        elif report.skipped and not report.vlbench_judged:
            self.why[report.nodeid] = "skipped"
        elif report.when == "call":
            self.why[report.nodeid] = "" if report.vlbench_judged else "run, but its gate was not"

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker of xdist collected; what it ran has been reported before."""
        collected, declared = getattr(node, "workeroutput", {}).get(_OUTPUT, ({}, []))
        self.why = {**collected, **self.why}
        self.declared |= set(declared)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A session that would pass fails where a test was kept from being judged."""
        if hasattr(self.config, "workeroutput"):
            collected = {name: why if why == DESELECTED else NOT_RUN for name, why in self.why.items()}
            self.config.workeroutput[_OUTPUT] = (collected, list(self.declared))
        elif self.failing and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A line for each test that was not judged."""
        if self.unjudged:
            terminalreporter.section("vlbench: not judged", yellow=True)
        for name, why in self.unjudged.items():
            terminalreporter.line(f"{name}: {why}{', so the session fails' if name in self.failing else ''}")

    @property
    def unjudged(self) -> dict[str, str]:
        """By test, why. There is none in a session that was asked on its command line to run no test."""
        idle = not self._by_file(_IDLE) and any(
            self.config.getoption(name, False) for name in ("collectonly", "setuponly", "setupplan")
        )
        return {} if idle else {name: why for name, why in self.why.items() if why}

    @property
    def failing(self) -> set[str]:
        """All of them where the session is strict; else those that neither the command line nor the test asked for."""
        strict = self.config.getoption(STRICT) or self.config.getini(STRICT)
        asked = not self._by_file(_SELECT)
        return {
            name
            for name, why in self.unjudged.items()
            if strict or not ((why == DESELECTED and asked) or name in self.declared)
        }

    def _by_file(self, options: tuple[str, ...]) -> bool:
        """Is one of the options in the settings, and none on the command line?"""
        typed, kept = self.config.invocation_params.args, self.config.getini("addopts")
        here, there = (
            any(str(each).split("=")[0] in options or str(each)[:2] in options for each in given)
            for given in (typed, kept)
        )
        return there and not here
