"""`vlbench explain`: of a flag what it removes and its code beside the naive twin's, of all else what it is."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlbench.api.names import names
from vlbench.cli.completion import one_of
from vlbench.cli.listing import ROWS, prompt_row, rows_of
from vlbench.errors import UsageError
from vlbench.version import FOLDER

if TYPE_CHECKING:
    from rich.console import Console

    from vlbench.implementations.optimized import Optimization

SIDE_BY_SIDE = 150
"""Columns from which two pieces of code stand beside each other rather than one below the other."""
LINES = ("changes", "passed over")
"""How the names of facts begin that are sentences, a line each; other lists are names."""
UNIT = re.compile(r"( ms| %)?( \[.*| \(.*|, .*)?$")
"""What a heading has behind its word."""
KINDS = [*ROWS, "prompts", "gpus"]
OTHERS = [kind for kind in ROWS if kind != "flags"]


def meanings_by_names() -> dict[str, str]:
    """What words mean here, counters among them, by the names that mean it, joined by commas."""
    from vlbench.export.wording import DETECTABLE

    text = (FOLDER / "cli" / "words.toml").read_text(encoding="utf-8").replace("{detectable}", DETECTABLE)
    return {str(names): str(meaning) for names, meaning in tomllib.loads(text).items()}


def words() -> dict[str, str]:
    """The same by each name."""
    return {name: meaning for named, meaning in meanings_by_names().items() for name in named.split(", ")}


def complete(incomplete: str) -> list[str]:
    """Everything that has an explanation."""
    known = (name for kind in KINDS for name in names(kind))
    return one_of(*dict.fromkeys([*known, *words()]))(incomplete)


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete,
            help="A flag, preset, seam, model, scenario, peer or format (see `vlbench list`), a counter, or another "
            "word that tables and messages use. Without one all that can be explained is named.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Explain a flag with its code beside the naive twin's, or what a preset, model, counter or word is.

    - `vlbench explain batched-windows`
    - `vlbench explain best`
    - `vlbench explain churn`
    """
    if name is None:
        whole = {kind: names(kind) for kind in KINDS}
        whole["words"] = [named.partition(", ")[0] for named in meanings_by_names()]
        print(json.dumps(whole, indent=1)) if as_json else _show_facts(whole)
        return
    known = explained(name)
    if as_json:
        print(json.dumps(known, indent=1))
    elif "optimized" in known:
        naive, optimized = known.pop("naive"), known.pop("optimized")
        _show(known | {"counted": ""}, naive, optimized)  # "changes" has it, a line each
    else:
        _show_facts(known)


def explained(name: str) -> dict[str, Any]:
    """All that is known of whatever is called so; of a flag its code, too. Raises UsageError where nothing is."""
    name = spelled(name)
    known = {} if name in names("flags") else meanings(name)
    return known or _flag_facts(name)


def spelled(name: str) -> str:
    """The name as it is written here, whatever its case, hyphens and number; of a heading what is before its unit."""
    every = [*words(), *(each for kind in KINDS for each in names(kind))]
    known = {_plain(each): each for each in reversed(every)} | {each.lower(): each for each in every}
    tried = [name.lower(), UNIT.sub("", name).lower(), _plain(name)]
    return next((known[each] for each in tried if each in known), name)


def _plain(name: str) -> str:
    """The same for the singular, the plural, and however its parts are joined."""
    return re.sub("[-_ ]", "", name.lower()).removesuffix("s")


def meanings(name: str) -> dict[str, Any]:
    """What is known of whatever has this name and is no flag: its row in `vlbench list`, and what the word means."""
    found: dict[str, Any] = {"word": name, "means": words()[name]} if name in words() else {}
    if name in names("gpus"):
        from vlbench.counting_device.profiles import PROFILES

        found |= {"gpu": name, "means": f"What --as {name} answers for.", "answers": asdict(PROFILES[name])}
    if name in names("prompts"):
        found |= prompt_row(name)
    for kind in OTHERS:
        if name in names(kind):
            found |= next((row for row in rows_of(kind) if next(iter(row.values())) == name), {})
    return found


def _flag_facts(flag: str) -> dict[str, Any]:
    from vlbench.export.flags import COUNTED_ON, counted_on, effects, moves_in_words, traffic_in_words
    from vlbench.implementations.optimized import FlagError, find_flag
    from vlbench.implementations.optimized.seam import excluded_by

    try:
        found = find_flag(flag)
    except FlagError as error:
        everything = [each for kind in KINDS for each in names(kind)] + list(words())
        near = get_close_matches(flag, everything, n=1)
        lists = "`vlbench list` has things by name, `vlbench explain` alone all words"
        told = f"nothing is called {flag!r}; {f'did you mean {near[0]}?' if near else lists}"
        raise UsageError(str(error) if "did you mean" in str(error) else told) from None
    naive, optimized, on = source_of(found.seam.naive_way), source_of(found.way), counted_on(found.flag)
    return {
        "flag": found.flag,
        "seam": found.seam.name,
        "removes": found.removes,
        "class": str(found.exactness),
        "changes": (changes := effects(found.flag)),
        "note": "" if found.note in changes else found.note,
        "counted": moves_in_words(found.flag) + (f" ({COUNTED_ON})" if found.seam.in_tower and on else ""),
        "counted on": on,
        "bytes moved": traffic_in_words(found),
        "source": found.source,
        "needs": list(found.requires),
        "measured with": list(found.pairs),
        "excludes": [*(other for other in found.seam.flags if other != found.flag), *excluded_by(found)],
        "only where named": found.only_named,
        **_told_by_stage(found),
        "naive": naive,
        "optimized": optimized,
    }


def _told_by_stage(flag: Optimization) -> dict[str, str | list[str]]:
    """Of a flag that changes results, by how much, stage by stage; nothing of others, or after the tower."""
    from vlbench.implementations.optimized import Exactness

    if flag.exactness is not Exactness.RESULT_CHANGING or not flag.seam.in_tower:
        return {}
    from vlbench.record.base import grid_text
    from vlbench.trial.stage_results import GRID, errors_by_stage, small_model

    found = errors_by_stage(flag).items()
    image = grid_text(GRID)
    return {
        "error of": f"{small_model(flag).name}, not of a released model: random weights, one image of {image} patches, "
        "on this CPU; |result - wanted| / |wanted| behind each stage, where the reference tower in float32 says what "
        "is wanted; in brackets the reference tower's own in bfloat16",
        "error in bfloat16": [f"{stage} {error:.1g} ({own:.1g})" for stage, (error, own) in found],
    }


def source_of(way: Callable[..., Any]) -> str:
    """The code of a way, without its decorator."""
    text = textwrap.dedent(inspect.getsource(way))
    start = ast.parse(text).body[0].lineno  # of the `def` or `class` itself
    return "\n".join(text.splitlines()[start - 1 :])


def _show_facts(facts: dict[str, Any]) -> Console:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        told = [f"{key} {each}" for key, each in value.items()] if isinstance(value, dict) else value
        between = "\n" if name.startswith(LINES) else ", "
        text = between.join(told) if isinstance(told, list) else str(told)
        if text:
            table.add_row(Text(name, style="bold"), Text(text))
    console.print(table)
    return console


def _show(facts: dict[str, Any], naive: str, optimized: str) -> None:
    from rich.panel import Panel
    from rich.syntax import Syntax
    from rich.table import Table

    console = _show_facts(facts)
    panels = [
        Panel(Syntax(code, "python", word_wrap=True, background_color="default"), title=title, title_align="left")
        for title, code in (("naive", naive), (facts["flag"], optimized))
    ]
    if console.width >= SIDE_BY_SIDE:
        pair = Table.grid(expand=True)
        pair.add_column(ratio=1)
        pair.add_column(ratio=1)
        pair.add_row(*panels)
        console.print(pair)
    else:
        for panel in panels:
            console.print(panel)
