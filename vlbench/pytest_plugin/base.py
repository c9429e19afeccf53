"""`--vlbench-base`: marked tests are held to what the merge base has, as `vlbench gate --base` holds a change."""

from pathlib import Path
from typing import Any

import pytest

from vlbench.api.defaults import defaults
from vlbench.api.markers import marker_rows
from vlbench.errors import UsageError
from vlbench.gating import Times
from vlbench.gating.accuracy import count_and_check
from vlbench.gating.base import base_of
from vlbench.gating.required import by_base
from vlbench.gating.run import gate
from vlbench.judging.exit_codes import FAILURES
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.git import text_at
from vlbench.pytest_plugin import BASE, at_root
from vlbench.record.baseline import Baseline
from vlbench.revisions.checkouts import checked_out

ACCEPTED = "vlbench_accepted"
"""The property of a test that says what it accepted, also where a worker of xdist sends it home."""


class AgainstBase:
    """Judges the markers as a whole when a session ends, and tells what was accepted."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.accepted: list[str] = []
        self.failed: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Raises pytest.UsageError for a base that git does not know."""
        with at_root(self.config):
            try:
                base_of(self.config.getoption(BASE))
            except UsageError as error:
                raise pytest.UsageError(f"--vlbench-base: {str(error).removeprefix('--base ')}") from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What baselines accept."""
        if report.when == "call":
            self.accepted += [f"{report.nodeid}: {said}" for name, said in report.user_properties if name == ACCEPTED]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Limits that were raised or removed, and tests that pytest no longer collects, whatever ran here."""
        if hasattr(self.config, "workeroutput") or self.config.getoption("collectonly"):
            return
        with at_root(self.config):
            try:
                base = base_of(self.config.getoption(BASE))
                rows = marker_rows(base, defaults(commit=base.commit), accepts=True)
            except UsageError as error:
                rows = [JudgedRow.missing("markers of tests", "counters", str(error))]
            for row in rows:
                said = {Verdict.ACCEPTED: self.accepted, **dict.fromkeys(FAILURES, self.failed)}.get(row.verdict)
                if said is not None:
                    said.append(f"{row.cell}: {row.reason}")
        if self.failed and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What was accepted first, then what fails the session."""
        from vlbench.untrusted.names import terminal

        if self.accepted or self.failed:
            terminalreporter.section("vlbench: against the merge base", yellow=True)
        for line in (*(f"accepted: {said}" for said in self.accepted), *(f"{said}" for said in self.failed)):
            terminalreporter.line(terminal(line))


def judged_by_base(path: Path, name: str) -> tuple[Baseline, list[JudgedRow]]:
    """The counted cells of a baseline as the merge base with `name` has it, and their rows.

    Where it has none, the file is the first and judged by its own figures. Raises UsageError, IncomparableError.
    """
    base = base_of(name)
    first = text_at(base.commit, path) is None
    required = by_base(base, [path], (path.parent, path.parent), first=first)
    baseline = required.baselines[path].model_copy(update={"timed": (), "captured": ()})
    with checked_out([base.commit]) as (there,):
        counted, checked = count_and_check([baseline], str(there.here))
    found = required.settle(gate({path: baseline}, counted, times=Times.NEVER, checked=checked))
    return baseline, [row for each in found.values() for row in each.rows]
