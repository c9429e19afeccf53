"""The generated parts of the README: `python -m vlbench.export.readme README.md` brings them up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.workload import load_scenario, scenario_names


def flag_table() -> str:
    """Every flag of the registry as a Markdown table."""
    rows = ["| flag | seam | what it removes | class | needs | source |", "|---|---|---|---|---|---|"]
    for flag in OPTIMIZATIONS.values():
        needs = ", ".join(f"`{other}`" for other in flag.requires)
        cells = (f"`{flag.flag}`", flag.seam.name, flag.removes, str(flag.exactness), needs, flag.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def preset_table() -> str:
    """Every preset as a Markdown table."""
    rows = ["| preset | what it is |", "|---|---|"]
    rows += [f"| `{preset.name}` | {preset.summary} |" for preset in PRESETS.values()]
    return "\n".join(rows)


def scenario_table() -> str:
    """Every shipped scenario as a Markdown table."""
    rows = ["| scenario | what is fed in | what it stands for |", "|---|---|---|"]
    scenarios = (load_scenario(name) for name in scenario_names())
    rows += [f"| `{scenario.name}` | {scenario.title} | {scenario.stands_for} |" for scenario in scenarios]
    return "\n".join(rows)


PARTS: dict[str, Callable[[], str]] = {"flags": flag_table, "presets": preset_table, "scenarios": scenario_table}


def updated(text: str) -> str:
    """`text` with whatever stands between `<!-- generated: NAME -->` and `<!-- end -->` made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- generated: (\w+) -->).*?(<!-- end -->)", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(updated(page.read_text()))
