"""`vlbench list`: what there is to choose from."""

import json
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from vlbench.cli.completion import one_of
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError, check_choice
from vlbench.export.sheet import Cell, Column, Sheet, Table
from vlbench.implementations.config import UNCONFIRMED


def _complete(incomplete: str) -> list[str]:
    return one_of(*ROWS)(incomplete)


What = Annotated[
    str | None,
    typer.Argument(
        metavar="WHAT", help="models, scenarios, flags, presets, seams, peers or formats.", autocompletion=_complete
    ),
]

DEVICES = (("a CPU", "cpu"), ("CUDA", "cuda"))
"""In words, and as flags know them."""
IN_JSON_ALONE = {"requires", "sizes from", *(f"passed over on {where}" for where, _ in DEVICES)}
"""What a flag needs is among the words of what it is counted beside, and `vlbench explain best` tells reasons; where
sizes come from has no room in a table of 80 columns."""


@reports(judges=False)
def list_things(what: What = None) -> Sheet:
    """List models, scenarios, flags, presets, seams that can be measured alone, peers, or formats that judge reads.

    - `vlbench list flags`
    """
    if what is None:
        raise UsageError(f"list: name one of {', '.join(ROWS)}")
    check_choice("what to list", what, ROWS)
    rows = rows_of(what)
    headings = [heading for heading in rows[0] if heading not in IN_JSON_ALONE]
    columns = [Column(heading, left=True, most=12 if heading == "class" else None) for heading in headings]
    told = [
        [", ".join(each) if isinstance(each, list) else Cell(_narrow(each), each) for each in map(row.get, headings)]
        for row in rows
    ]
    table = Table(what, columns, told)
    return Sheet(f"vlbench list {what}", [table], own={"json": lambda: json.dumps(rows, indent=1)})


def _narrow(value: object) -> str:
    """The longest class is parted at its hyphen: its column is as wide as the others need."""
    return "result-\nchanging" if value == "result-changing" else str(value)


def rows_of(kind: str) -> list[dict[str, Any]]:
    """A row for each thing of this kind, its name first."""
    where, row = ROWS[kind]
    things = resolve_name(where)
    return [row(each) for each in (things() if callable(things) else things.values())]


def _scenario_row(name: str) -> dict[str, Any]:
    from vlbench.workload.library import load_scenario
    from vlbench.workload.prompts import PROMPTS

    if name in PROMPTS:
        return prompt_row(name)
    scenario = load_scenario(name)
    return {"scenario": name, "fed in": scenario.title, "stands for": scenario.stands_for}


def prompt_row(name: str) -> dict[str, Any]:
    """What prompts are, and the seams that `run --scenario` measures with them."""
    from vlbench.workload.seams import PROMPTS, seams_fed

    row = {"scenario": name, "fed in": PROMPTS[name].title, "stands for": "what a request needs beside the tower"}
    return row | {"seams": seams_fed(name)}


def _flag_row(flag: Any) -> dict[str, Any]:
    from vlbench.export.flags import moves_in_words

    row = {"flag": flag.flag, "class": str(flag.exactness), "removes": flag.removes}
    return row | {"counted at 7B": moves_in_words(flag.flag), "requires": list(flag.requires)}


def _elsewhere(preset: Any) -> str:
    """What the lists of a preset's flags lack for other models than theirs."""
    found = {**preset.elsewhere("cpu"), **preset.elsewhere("cuda")}
    told = [f"on {', '.join(series)} also {flag}" for flag, series in found.items()]
    return f"; flags are those on Qwen2.5-VL, {', '.join(told)}" if told else ""


def _reasons(flags: Mapping[str, str]) -> list[str]:
    return [f"{flag}: {why}" for flag, why in flags.items()]


ROWS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "models": (
        "vlbench.implementations.config:MODELS",
        lambda config: {
            "model": config.name,
            "depth": config.depth,
            "width": config.hidden_size,
            "heads": f"{config.num_heads} x {config.head_dim}",
            "mlp": config.intermediate_size,
            "out": config.out_hidden_size,
            "attention": "windows" if config.window_size else "frames",
            "sizes": "unconfirmed" if config.name in UNCONFIRMED else "",
            "sizes from": UNCONFIRMED.get(config.name, ""),
        },
    ),
    "scenarios": ("vlbench.workload.library:scenarios_and_prompts", _scenario_row),
    "flags": ("vlbench.implementations.optimized:OPTIMIZATIONS", _flag_row),
    "presets": (
        "vlbench.implementations.optimized:PRESETS",
        lambda preset: (
            {"preset": preset.name, "for": preset.summary + _elsewhere(preset)}
            | {f"flags on {where}": preset.usual(kind) for where, kind in DEVICES}
            | {f"passed over on {where}": _reasons(preset.passed_over(kind)) for where, kind in DEVICES}
        ),
    ),
    "seams": (
        "vlbench.workload.seams:CASES",
        lambda case: (
            {"seam": case.name, "one call": case.title, "sizes": list(case.sizes)}
            | {"flags": [flag for seam in case.seams for flag in seam.flags]}
        ),
    ),
    "peers": (
        "vlbench.implementations.peers:PEERS",
        lambda peer: (
            {"peer": peer.name, "what it is": peer.summary, "needs": peer.package}
            | {"installed": peer.version or f"no: pip install {peer.package}"}
        ),
    ),
    "formats": ("vlbench.readers:READERS", lambda reader: {"format": reader.name, "what it is": reader.reads}),
}
"""Where the things of each kind lie, and what is told of each."""
