"""What serving engines' towers ask for on their CPU platforms: `python -m results.count_engines ENGINE`.

Needs the engine, as adapters/engines/README.md says; that writes a baseline to results/engines, sealed, with the label
of the platform in each of its cells. Without it the table of docs/towers.md is made of what is stored.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from vlbench.comparing.counted_cells import grid_point
from vlbench.gating.acceptance import acceptance
from vlbench.gating.save import count_all, count_requests, save
from vlbench.judging.words import readable_bytes
from vlbench.record.base import Grid, grid_text
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import read_baseline
from vlbench.record.fingerprint import take_fingerprint

FOLDER = Path(__file__).parent / "engines"
MODELS = ("qwen2-vl-7b", "qwen2.5-vl-7b", "qwen3-vl-8b")
GRID: Grid = (1, 36, 36)
AUTHORS = "The vlbench authors"
UNCHECKED = "Held against transformers at the smallest size, by tests/adapters: at this size a CPU takes minutes."
FIGURES = ("device_operations", "attention_calls", "host_syncs", "read_backs")


def count_engine(engine: str) -> Baseline:
    """Count the towers of an engine that is installed, and store them."""
    towers = [f"{engine}:{model}" for model in MODELS]
    release, here = version(engine), take_fingerprint("cpu")
    cells = count_all(count_requests(towers, None, [grid_point((GRID,))], "sm_90", "bfloat16"))
    entry = acceptance("saved", f"{engine} {release} on its CPU platform.", here.torch, (), AUTHORS)
    unchecked = dict.fromkeys(towers, UNCHECKED)
    return save(FOLDER / f"{engine}-{release}.json", here, entry, counted=cells, unchecked=unchecked)


def stored_engines() -> list[Baseline]:
    """What is stored, each named after its engine and the release."""
    return [read_baseline(path) for path in sorted(FOLDER.glob("*.json"))]


def engine_table() -> str:
    """The stored cells as a Markdown table, with the label of each."""
    head = ["tower", "runs its code for a", "operations", "attention calls", "waits", "read back", "uploads", "peak"]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "--:|" * 6]
    found = stored_engines()
    cells = [cell for each in found for cell in each.counted]
    for cell in cells:
        counted = cell.warm.counters
        uploads = f"{counted['uploads'] + counted['implicit_uploads']:,}"
        size = readable_bytes(counted["upload_bytes"] + counted["implicit_upload_bytes"])
        figures = [f"{counted[name]:,}" for name in FIGURES]
        peak = readable_bytes(counted["peak_live_bytes"])
        row = [f"`{cell.tower}`", cell.key.platform, *figures, f"{uploads} ({size})", peak]
        lines.append(f"| {' | '.join(row)} |")
    engines, key = " and ".join(each.name.replace("-", " ") for each in found), cells[0].key
    told = (
        f"The second forward on one picture of {grid_text(GRID)} patches: {engines}, {cells[0].dtype}, as {key.profile}"
    )
    return "\n".join([f"*{told}, torch {key.torch_version}.*", "", *lines])


if __name__ == "__main__":
    print(count_engine(sys.argv[1]).name)
