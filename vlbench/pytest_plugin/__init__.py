"""vlbench for pytest: `@pytest.mark.vlbench(...)` gates a test on counts, the fixture `vlbench_cell` times a tower.

pytest loads this module wherever vlbench is installed, so importing it imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from vlbench.errors import UsageError
from vlbench.pytest_plugin.judged import STRICT, Judging

if TYPE_CHECKING:
    from pathlib import Path

    from vlbench.record.counted import CountReport

BASE = "vlbench_base"
MARKER = (
    'vlbench(tower=..., scenario=... or grid="1x36x36", dtype="bfloat16", as_="sm_90", cudnn="9.19", cold=False, '
    "max_syncs=..., max_operations=..., max_COUNTER=..., baseline=..., accepted=...): count what the tower asks of a "
    "GPU, without one, before the test runs, and fail where that is more than the limits or the baseline allow. "
    "Several markers are several cells; one without a tower or a baseline holds defaults for the others."
)


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Named by its entry point and by its module, as `-p` or a conftest can name it, it is there once."""
    if plugin is sys.modules[__name__]:
        for name in {"vlbench", __name__} - {manager.get_name(plugin)}:
            manager.set_blocked(name)


class Untimed:
    """The fixture `vlbench_cell` where pytest-benchmark is not: a test that asks for it fails and says so."""

    @pytest.fixture
    def vlbench_cell(self) -> None:
        """Time a tower under pytest-benchmark, which is not here."""
        pytest.fail(
            "vlbench_cell times with pytest-benchmark, which is missing or switched off; pip install pytest-benchmark",
            pytrace=False,
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--vlbench-strict`, and the same in pytest's settings; `--vlbench-base`."""
    words = "fail a session in which a test with a vlbench marker was not judged, also where it was deselected"
    parser.getgroup("vlbench").addoption("--vlbench-strict", dest=STRICT, action="store_true", help=words)
    parser.addini(STRICT, words, type="bool", default=False)
    base = "judge marked tests by what the merge base of REF and HEAD has, as `vlbench gate --base REF` does"
    parser.getgroup("vlbench").addoption("--vlbench-base", dest=BASE, metavar="REF", help=base)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, follow the tests that have it, and have `vlbench_cell` as this machine can."""
    config.addinivalue_line("markers", MARKER)
    plugins = config.pluginmanager
    plugins.register(Judging(config), "vlbench-judging")
    if config.getoption(BASE):
        from vlbench.pytest_plugin.base import AgainstBase

        plugins.register(AgainstBase(config), "vlbench-base")
    if plugins.has_plugin("benchmark") or plugins.has_plugin("pytest_benchmark.plugin"):
        from vlbench.pytest_plugin import timed

        plugins.register(timed, "vlbench-cell")
    else:
        plugins.register(Untimed(), "vlbench-cell")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A marker that says nonsense is an error of the collection, as an unknown marker is under --strict-markers."""
    report = yield
    wrong = [sentence for node in report.result or () if (sentence := _nonsense(node))]
    if wrong:
        report.outcome, report.longrepr, report.result = "failed", "\n".join(wrong), []
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """The gate. It fails in the place of the test's body, as a test and not as an error of its set-up."""
    if item.get_closest_marker("vlbench"):
        from vlbench.pytest_plugin.gate import gate

        try:
            complaint = gate(item)
        except UsageError as error:
            complaint = str(error)
        if complaint:
            pytest.fail(_cleaned(complaint), pytrace=False)


@pytest.fixture
def vlbench_gate() -> None:
    """For a test that its marker judges: without this plugin the test cannot run, and so cannot pass unjudged."""


@pytest.fixture
def vlbench_counts(request: pytest.FixtureRequest) -> tuple[CountReport, ...]:
    """What the test's markers counted, that of the nearest first: each a `vlbench.record.counted.CountReport`."""
    from vlbench.pytest_plugin.gate import counts_of

    try:
        return counts_of(request.node)
    except UsageError as error:
        pytest.fail(_cleaned(str(error)), pytrace=False)


@contextmanager
def at_root(config: pytest.Config, folder: Path | None = None) -> Iterator[None]:
    """In the root of the tests, or in `folder`, wherever pytest was started: where files and modules are looked for.

    Processes that are started there import what this one can, by pytest's `pythonpath` too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, filter(None, sys.path))))
        patch.chdir(folder or config.rootpath)
        yield


def _cleaned(complaint: str) -> str:
    """Without what a terminal or a CI runner would obey: names come from baselines."""
    from vlbench.untrusted.names import terminal

    return terminal(complaint)


def _nonsense(node: pytest.Item | pytest.Collector) -> str | None:
    if not isinstance(node, pytest.Item) or not node.get_closest_marker("vlbench"):
        return None
    from vlbench.gating.marks import marks_of

    try:
        marks_of(node)
    except UsageError as error:
        return str(error)
    return None
