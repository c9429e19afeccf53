"""PyTorch's benchmark HUD, schema v3: a list with a record for each metric, as its upload action takes it.

That action adds the time, the commit and the runner. Its database has float32 values and text in `extra_info`.
https://github.com/pytorch/pytorch/wiki/PyTorch-OSS-benchmark-infra
"""

import json

from vlbench.export.figures import Figure, figures_of, left_out
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet
from vlbench.untrusted.names import json_text, line


@exporter(
    "hud",
    "Write PyTorch's benchmark HUD records, v3 (JSON), here.",
    comparison="a record for each time and metric of the second side; `extra_info` has its unit and direction",
    tables="a record for each time and count of a variant; `extra_info` has its unit and direction",
    left_out=left_out,
    clean=json_text,
)
def hud_text(sheet: Sheet) -> str:
    """One list of records."""
    found = [_record(sheet.title, each) for each in figures_of(sheet).found.values()]
    return json.dumps(found, indent=1, allow_nan=False)


def _record(title: str, each: Figure) -> dict[str, object]:
    measure = {"unit": each.measure.unit, "better": str(each.measure.better), "help": each.measure.help}
    if each.low is not None and each.high is not None:
        measure |= {"low": repr(each.low), "high": repr(each.high)}
    others = {name: told for name, told in each.labels.items() if name != "dtype"}
    return {
        "benchmark": {"name": title, "mode": "inference", "dtype": each.labels.get("dtype", ""), "extra_info": others},
        "model": {"name": line(each.subject, most=1000), "type": "vision tower"},
        "metric": {"name": each.name, "benchmark_values": [each.value], "extra_info": measure},
    }
