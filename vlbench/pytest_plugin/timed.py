"""The fixture `vlbench_cell`: a cell of the matrix under pytest-benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from vlbench.errors import UsageError
from vlbench.pytest_plugin import at_root

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@dataclass(frozen=True)
class TimeCell:
    """Checks a variant against the reference tower, then times its warm forward."""

    benchmark: BenchmarkFixture
    node: pytest.Item

    def __call__(
        self,
        variant: str,
        *,
        model: str | None = None,
        scenario: str = "multi-image",
        point: str | None = None,
        dtype: str | None = None,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        """Time `variant` on one thread, other contents in every round, for as long as pytest-benchmark's options ask.

        The arguments are those of `vlbench run`; `point` is one of the scenario's, where that has several. The test
        fails, and nothing is timed, where the output is not the reference tower's.
        """
        from vlbench.api.arguments import argument_words
        from vlbench.pytest_plugin.timing import find_cell, time_cell

        try:
            with at_root(self.node.config):
                job = find_cell(variant, model, scenario, point, dtype, device, seed)
                complaint = time_cell(job, self.benchmark, self._option("max_time"), int(self._option("min_rounds")))
        except UsageError as error:
            complaint = argument_words(str(error))
        if complaint:
            pytest.fail(complaint, pytrace=False)

    def _option(self, name: str) -> float:
        """Of `@pytest.mark.benchmark`, else of the command line."""
        marker = self.node.get_closest_marker("benchmark")
        given = marker.kwargs if marker else {}
        return float(given.get(name, self.node.config.getoption(f"benchmark_{name}")))


@pytest.fixture
def vlbench_cell(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> TimeCell:
    """Time a tower under pytest-benchmark, once it has proved right: `vlbench_cell("best", scenario="thumbnails")`."""
    return TimeCell(benchmark, request.node)
