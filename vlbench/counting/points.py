"""What towers are counted on: a scenario at its full size, or grids."""

from __future__ import annotations

from collections.abc import Sequence

from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.record.counted import Grid
from vlbench.workload.library import load_scenario


def counted_points(scenario: str, grids: Sequence[str]) -> list[Point]:
    """One call on `grids`, such as 1x36x36, or each point of `scenario`. Raises UsageError for what is none."""
    if grids:
        return [Point(scenario="grid", label="", grids=tuple(map(parse_grid, grids)))]
    found = load_scenario(scenario)
    return [Point(scenario=found.name, label=point.label, feed=point) for point in found.points("cuda")]


def parse_grid(text: str) -> Grid:
    """(frames, rows, columns) in patches. Raises UsageError."""
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--grid: {text!r} must be FRAMESxROWSxCOLUMNS in patches, such as 1x36x36")
    t, h, w = map(int, parts)
    return t, h, w
