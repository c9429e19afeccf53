"""Bencher Metric Format: benchmark -> measure -> value, as `bencher run --adapter json --file FILE` takes it.

`latency` is Bencher's own measure, in nanoseconds; others are in the unit that their names say. A speed-up is the only
one of which more is better: give it a lower boundary. https://bencher.dev/docs/reference/bencher-metric-format/
"""

import json

from vlbench.export.figures import Figure, figures_of, left_out
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet
from vlbench.untrusted.names import json_text

NANOSECONDS = 1e9


@exporter(
    "bencher",
    "Write Bencher Metric Format (JSON) here.",
    comparison="each time and metric of the second side, and how many times the first's it costs, with its interval",
    tables="each time and count of a variant; the median time of a call is `latency`, in ns",
    left_out=left_out,
    clean=json_text,
)
def bencher_text(sheet: Sheet) -> str:
    """One object; of figures without an interval the value alone."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for each in figures_of(sheet).found.values():
        name, scale = ("latency", NANOSECONDS) if each.name == "seconds" else (each.name.replace("_", "-"), 1)
        found.setdefault(each.full_name, {})[name] = {key: value * scale for key, value in _values(each).items()}
    return json.dumps(found, indent=1, allow_nan=False)


def _values(each: Figure) -> dict[str, float]:
    if each.low is None or each.high is None:
        return {"value": each.value}
    return {"value": each.value, "lower_value": each.low, "upper_value": each.high}
