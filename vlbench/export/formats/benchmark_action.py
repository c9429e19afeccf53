"""github-action-benchmark: the lists that its tools `customSmallerIsBetter` and `customBiggerIsBetter` take.

A list has one direction, so there is a file for each. https://github.com/benchmark-action/github-action-benchmark
"""

import json
from functools import partial

from vlbench.export.figures import Figure, figures_of, left_out as not_a_figure
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet
from vlbench.record.directions import Better
from vlbench.untrusted.names import json_text


def _of(better: Better, sheet: Sheet) -> list[Figure]:
    return [each for each in figures_of(sheet).found.values() if each.measure.better is better]


def _text(better: Better, sheet: Sheet) -> str:
    entries = [
        {"name": f"{each.full_name}: {each.name.replace('_', ' ')}", "unit": each.measure.unit, "value": each.value}
        | ({} if each.low is None or each.high is None else {"range": f"{each.low:.6g} to {each.high:.6g}"})
        | {"extra": each.measure.help}
        for each in _of(better, sheet)
    ]
    return json.dumps(entries, indent=1, allow_nan=False)


def _left_out(better: Better, sheet: Sheet) -> str:
    """The tool refuses an empty list."""
    if not _of(better, sheet):
        return f"holds no figure of which {better} is better"
    return not_a_figure(sheet)


LISTS = {
    "smaller-is-better": (
        Better.LOWER,
        "each time and metric of the second side of which less is better, and what it costs times the first's",
        "the times, counts, sizes and errors of each variant",
    ),
    "bigger-is-better": (
        Better.HIGHER,
        "each metric of the second side of which more is better",
        "the speed-ups and hit rates of each variant",
    ),
}
"""Format -> which figures, what it holds of a comparison and of tables."""
for _name, (_better, _comparison, _tables) in LISTS.items():
    _tool = f"custom{_name.title().replace('-', '')}"
    exporter(
        _name,
        f"Write github-action-benchmark's {_tool} (JSON) here.",
        comparison=_comparison,
        tables=_tables,
        left_out=partial(_left_out, _better),
        clean=json_text,
    )(partial(_text, _better))
