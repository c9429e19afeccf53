"""`vlbench list`: what there is to choose from."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from vlbench.cli.reporting import reports
from vlbench.export.sheet import Cell, Column, Sheet, Table


class Thing(StrEnum):
    """What can be listed."""

    MODELS = "models"
    SCENARIOS = "scenarios"
    FLAGS = "flags"
    PRESETS = "presets"
    SEAMS = "seams"
    PEERS = "peers"
    FORMATS = "formats"


@reports(judges=False)
def list_things(what: Annotated[Thing, typer.Argument(help="What to list.")]) -> Sheet:
    """List models, scenarios, flags, presets, seams that can be measured alone, peers, or formats that judge reads."""
    rows = ROWS[what]()
    columns = [Column(heading, left=True) for heading in rows[0]]
    told = [
        [", ".join(each) if isinstance(each, list) else Cell(str(each), each) for each in row.values()] for row in rows
    ]
    table = Table(str(what), columns, told)
    return Sheet(f"vlbench list {what}", [table], own={"json": lambda: json.dumps(rows, indent=1)})


def _models() -> list[dict[str, Any]]:
    from vlbench.implementations.config import MODELS

    return [
        {
            "model": config.name,
            "depth": config.depth,
            "width": config.hidden_size,
            "heads": f"{config.num_heads} x {config.head_dim}",
            "mlp": config.intermediate_size,
            "out": config.out_hidden_size,
            "attention": "112 px windows" if config.window_size else "whole frames",
        }
        for config in MODELS.values()
    ]


def _scenarios() -> list[dict[str, Any]]:
    from vlbench.workload.library import load_scenario, scenario_names

    scenarios = [load_scenario(name) for name in scenario_names()]
    return [{"scenario": each.name, "fed in": each.title, "stands for": each.stands_for} for each in scenarios]


def _flags() -> list[dict[str, Any]]:
    from vlbench.implementations.optimized import OPTIMIZATIONS

    return [
        {"flag": flag.flag, "class": str(flag.exactness), "removes": flag.removes, "needs": list(flag.requires)}
        for flag in OPTIMIZATIONS.values()
    ]


def _presets() -> list[dict[str, Any]]:
    from vlbench.implementations.optimized import PRESETS

    return [
        {
            "preset": preset.name,
            "for": preset.summary,
            "flags on a CPU": list(preset.flags("cpu")),
            "flags on CUDA": list(preset.flags("cuda")),
        }
        for preset in PRESETS.values()
    ]


def _seams() -> list[dict[str, Any]]:
    from vlbench.workload.seam_inputs import CASES

    return [
        {
            "seam": case.name,
            "one call": case.title,
            "sizes": list(case.sizes),
            "flags": [flag for seam in case.seams for flag in seam.flags],
        }
        for case in CASES.values()
    ]


def _peers() -> list[dict[str, Any]]:
    from vlbench.implementations.peers import PEERS

    return [
        {
            "peer": peer.name,
            "what it is": peer.summary,
            "needs": peer.package,
            "installed": peer.version or "no: pip install 'vlbench[peers]'",
        }
        for peer in PEERS.values()
    ]


def _formats() -> list[dict[str, Any]]:
    from vlbench.readers import READERS

    return [{"format": reader.name, "what it is": reader.reads} for reader in READERS.values()]


ROWS = {
    Thing.MODELS: _models,
    Thing.SCENARIOS: _scenarios,
    Thing.FLAGS: _flags,
    Thing.PRESETS: _presets,
    Thing.SEAMS: _seams,
    Thing.PEERS: _peers,
    Thing.FORMATS: _formats,
}
