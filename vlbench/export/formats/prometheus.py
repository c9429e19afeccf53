"""Prometheus text: the format 0.0.4 that node_exporter's textfile collector and the Pushgateway take, all gauges.

What is left out is named in comments at its end. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterator, Mapping

from vlbench.export.figures import Figure, by_name, figures_of, left_out
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet
from vlbench.untrusted.names import line

UNITS = {"s": "seconds", "bytes": "bytes", "ratio": "ratio"}
"""How names end, by the rules of Prometheus."""
MOST_OF_A_LABEL = 1_000
SAYS = ("prediction", "metric", "relative_time")
"""Measures whose unit is a label."""


@exporter(
    "prometheus",
    "Write Prometheus text here, for node_exporter's textfile collector.",
    comparison="a gauge for each time and metric of the second side, and for how many times the first's it costs",
    tables="a gauge for each time and count of a variant, in seconds and bytes; its labels say whose",
    left_out=left_out,
)
def prometheus_text(sheet: Sheet) -> str:
    """HELP and TYPE once for each gauge, then its samples."""
    figures = figures_of(sheet)
    lines = [each for name, found in by_name(figures.found.values()).items() for each in _gauge(name, found)]
    lines += [f"# left out: {line(told)}" for told in figures.left_out]
    return "\n".join([*lines, ""])


def _gauge(name: str, found: list[Figure]) -> Iterator[str]:
    unit = "" if name in SAYS else UNITS.get(found[0].measure.unit, "")
    full = f"vlbench_{name}" if not unit or unit in name.split("_") else f"vlbench_{name}_{unit}"
    yield f"# HELP {full} {found[0].measure.help}"
    yield f"# TYPE {full} gauge"
    for each in found:
        yield f"{full}{{{_labels({'name': each.subject, **each.labels})}}} {each.value!r}"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return line(value, most=MOST_OF_A_LABEL).replace("\\", "\\\\").replace('"', '\\"')
