"""vlbench for pytest: `@pytest.mark.vlbench(...)` gates a test on counts, the fixture `vlbench_cell` times a tower.

pytest loads this module wherever vlbench is installed, so importing it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.record.counted import CountReport

MARKER = (
    'vlbench(tower=..., scenario=... or grid="1x36x36", dtype="bfloat16", as_="sm_90", cold=False, max_syncs=..., '
    "max_operations=..., max_COUNTER=..., baseline=...): count what the tower asks of a GPU, without one, before the "
    "test runs, and fail where that is more than the limits or the baseline allow. Several markers are several cells; "
    "one without a tower or a baseline holds defaults for the others."
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    plugins = config.pluginmanager
    if plugins.has_plugin("benchmark") or plugins.has_plugin("pytest_benchmark.plugin"):
        from vlbench.pytest_plugin import timed as cell
    else:
        from vlbench.pytest_plugin import untimed as cell  # type: ignore[no-redef]
    plugins.register(cell, "vlbench-cell")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A marker that says nonsense ends the run before any test of it has started."""
    for item in items:
        if item.get_closest_marker("vlbench"):
            from vlbench.pytest_plugin.marks import marks_of

            try:
                marks_of(item)
            except UsageError as error:
                raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """The gate. It fails in the place of the test's body, as a test and not as an error of its set-up."""
    if item.get_closest_marker("vlbench"):
        from vlbench.pytest_plugin.gate import gate

        if complaint := gate(item):
            pytest.fail(complaint, pytrace=False)


@pytest.fixture
def vlbench_counts(request: pytest.FixtureRequest) -> tuple[CountReport, ...]:
    """What the test's markers counted: a `vlbench.record.counted.CountReport` each, the nearest marker first."""
    from vlbench.pytest_plugin.gate import counts_of

    try:
        return counts_of(request.node)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
