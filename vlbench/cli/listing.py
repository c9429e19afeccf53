"""`vlbench list`: what there is to choose from."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from vlbench.cli.completion import one_of
from vlbench.cli.options import CommandOptions
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError, check_choice
from vlbench.export.sheet import Cell, Sheet, Table, Words, on_the_left, shown_rows
from vlbench.implementations.config import UNCONFIRMED


def _complete(incomplete: str) -> list[str]:
    return one_of(*ROWS)(incomplete)


class ListOptions(CommandOptions):
    """The options of `vlbench list`."""

    what: Annotated[str | None, typer.Argument(metavar="WHAT", autocompletion=_complete)] = None
    """models, scenarios, flags, presets, seams, peers, towers or formats."""
    wide: Annotated[bool, typer.Option("--wide")] = False
    """All columns, over as many lines as they need."""


DEVICES = (("a CPU", "cpu"), ("CUDA", "cuda"))
"""In words, and as flags know them."""
NOT_AT_80 = {
    "counted at 7B",
    "requires",
    "sizes from",
    "cannot show",
    *(f"passed over on {where}" for where, _ in DEVICES),
}
"""What a table of 80 columns has no room for: `vlbench explain` tells it of one thing, --wide and formats of all."""
SHORT = {"reassociated": "reassoc.", "result-changing": "changing"}
"""Classes where there is a line a flag."""


@reports(judges=False)
def list_things(options: ListOptions) -> Sheet:
    """List models, scenarios, flags, presets, seams that can be measured alone, peers, towers, or what judge reads.

    - `vlbench list flags`
    """
    what, wide = options.what and options.what.lower(), options.wide
    if what is None:
        raise UsageError(f"list: name one of {', '.join(ROWS)}")
    check_choice("what to list", what, ROWS)
    rows = rows_of(what)
    whole, last = _table(what, rows, list(rows[0])), ""
    narrow = _table(what, rows, [heading for heading in rows[0] if heading not in NOT_AT_80])
    if what == "flags" and not wide:
        narrow = replace(narrow, lines=_in_a_line_each(narrow))
        last = "Each with its counters, its needs and its code: vlbench explain FLAG"
    if what == "presets" and not wide:
        narrow = replace(narrow, lines=list(_names_alone(narrow)))
    if NOT_AT_80 & rows[0].keys():
        whole = replace(whole, lines=list(_names_alone(whole)))
    own = {"json": lambda: json.dumps(rows, indent=1)}
    return Sheet(f"vlbench list {what}", [whole], view=[whole if wide else narrow], own=own, last=last)


def _table(name: str, rows: list[dict[str, Any]], headings: list[str]) -> Table:
    told = [
        [", ".join(each) if isinstance(each, list) else Cell(str(each), each) for each in map(row.get, headings)]
        for row in rows
    ]
    return Table(name, on_the_left(headings), told)


def _in_a_line_each(table: Table) -> list[Words]:
    """Its rows, each cut at the edge of the terminal rather than folded."""
    texts = [[head.heading for head in table.heads], *shown_rows(table)]
    texts = [[SHORT.get(cell, cell) for cell in cells] for cells in texts]
    widths = [max(map(len, column)) + table.gap for column in zip(*texts, strict=True)]
    lines = ["".join(map(str.ljust, cells, widths)).rstrip() for cells in texts]
    return [Words(line, "" if number else "bold", cut=True) for number, line in enumerate(lines)]


def _names_alone(table: Table) -> Iterator[Words]:
    """Each name on a line of its own, to be copied, and beneath it the other columns, a paragraph each."""
    name, *others = (head.heading for head in table.heads)
    yield Words(name, "bold")
    for first, *cells in shown_rows(table):
        yield Words(first, "bold")
        yield from (Words(f"{head}: {cell}", indent=2) for head, cell in zip(others, cells, strict=True) if cell)


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

    row = {"flag": flag.flag, "class": str(flag.exactness), "place": _place(flag), "removes": flag.removes}
    return row | {"counted at 7B": moves_in_words(flag.flag), "requires": list(flag.requires)}


def _place(flag: Any) -> str:
    """Where a flag belongs, in one word; `vlbench explain place` says more."""
    from vlbench.implementations.config import MODELS
    from vlbench.implementations.optimized import Exactness

    if not flag.seam.in_tower:
        return "alone"
    if flag.only_named or flag.exactness is Exactness.RESULT_CHANGING:
        return "named"
    return "CUDA" if all(flag.inapplicable(config, "cpu") for config in MODELS.values()) else "tower"


def _elsewhere(preset: Any) -> str:
    """What the lists of a preset's flags lack for other models than theirs."""
    found = {**preset.elsewhere("cpu"), **preset.elsewhere("cuda")}
    told = [f"on {', '.join(series)} also {flag}" for flag, series in found.items()]
    return f"; flags are those on Qwen2.5-VL, {', '.join(told)}" if told else ""


def _reasons(flags: Mapping[str, str]) -> list[str]:
    return [f"{flag}: {why}" for flag, why in flags.items()]


def tower_rows() -> list[dict[str, Any]]:
    """How `--tower` names the tower of a model, what that is, and whose. No package is imported."""
    from vlbench.implementations.floor import NAME as FLOOR
    from vlbench.implementations.peers import PEERS
    from vlbench.towers.installed import named_by_packages, package_of
    from vlbench.towers.resolve import is_built_in

    told = [("MODEL", "the reference tower", "vlbench"), ("MODEL+FLAG", "ours, with flags and presets", "vlbench")]
    told += [(f"{each.name}:MODEL", each.summary, "vlbench") for each in PEERS.values()]
    told.append((f"{FLOOR}:MODEL", "its products and attention alone", "vlbench"))
    for each in named_by_packages():
        lost = " (never taken: vlbench's own has this name)" if each.name == "at" or is_built_in(each.name) else ""
        told.append((f"{each.name}:MODEL", f"made by {each.value}{lost}", package_of(each)))
    return [dict(zip(("tower", "what it is", "from"), row, strict=True)) for row in told]


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
            | {"cannot show": preset.lacks}
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
            {"peer": peer.name, "what it is": peer.summary, "needs": peer.needs}
            | {"installed": peer.version or f"no: pip install {peer.package}"}
        ),
    ),
    "towers": ("vlbench.cli.listing:tower_rows", lambda row: row),
    "formats": ("vlbench.readers:READERS", lambda reader: {"format": reader.name, "what it is": reader.reads}),
}
"""Where the things of each kind lie, and what is told of each."""
