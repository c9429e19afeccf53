"""The generated documentation: `python -m docs.generate` brings it up to date.

The tables of the pages come from the registries, the floors of CONTRIBUTING.md from the import contract in
pyproject.toml, docs/traps.md and docs/cheats.md from what the tests run; docs/*.schema.json are the JSON Schemas of
files that programs read.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable
from io import StringIO
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console, RenderableType

from docs.reference import reference
from results.checked_predictions import checked_sentence, checked_table, measured_sentence
from results.count_engines import engine_table
from results.count_plans import plan_table
from results.false_alarms import gate_sentence
from results.gpu.tables import counted_and_seen, probe_table, right_sentence, seen_sentence
from results.history_levels import levels_table
from results.host_terms import terms_table
from results.host_times import hosts_table
from results.kernel_time_tables import (
    board_table,
    floor_of_boards,
    hold_out_table,
    looked_up_table,
    moved_table,
    spread_table,
)
from results.predict_again import again_table, held_trace_table
from results.predict_published import host_sentence, host_table, published_table
from results.recommend.full_width import full_width_table
from tests.patches.page import page as cheat_page
from tests.traps.page import page as trap_page
from tests.traps.traps import load as load_traps
from vlbench.cli.explain import meanings_by_names
from vlbench.export.atlas import page_table
from vlbench.export.atlas_changes import changes_table
from vlbench.export.console import view, view_of
from vlbench.export.flags import COUNTED_ON, moves_in_words
from vlbench.export.formats import exporters
from vlbench.export.result_tables import ladder_tables
from vlbench.export.results import results_sheet
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.implementations.peers import PEERS
from vlbench.judging import exit_codes
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged
from vlbench.nsys.advice import rules
from vlbench.readers import READERS
from vlbench.record.atlas import Atlas, read_atlas
from vlbench.record.counted import CountReport
from vlbench.record.files import read_results
from vlbench.record.flag_counts import stored_counts
from vlbench.record.schema import Results
from vlbench.untrusted.limits import limit_table
from vlbench.workload.library import load_scenario, scenario_names

ROOT = Path(__file__).parents[1]


def flag_table() -> str:
    """Every flag of the registry as a Markdown table."""
    rows = ["| flag | seam | what it removes | counted | class | needs | source |", "|---|---|---|---|---|---|---|"]
    for flag in OPTIMIZATIONS.values():
        needs = ", ".join([f"`{other}`" for other in flag.requires] + [f"(beside `{other}`)" for other in flag.pairs])
        counted = moves_in_words(flag.flag)
        cells = (f"`{flag.flag}`", flag.seam.name, flag.removes, counted, str(flag.exactness), needs, flag.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"*Counted*: the difference to the optimized tower without the flag; {COUNTED_ON}.", "", *rows])


def flag_number() -> str:
    """How many flags there are."""
    inside = [flag for flag in OPTIMIZATIONS.values() if flag.seam.in_tower]
    ours = [f"`{flag.flag}`" for flag in inside if flag.source.startswith("vlbench")]
    beside, named = len(OPTIMIZATIONS) - len(inside), f"{', '.join(ours[:-1])} and {ours[-1]}"
    return (
        f"It has {len(inside)} flags, {len(ours)} of them of our own ({named}); {beside} more are for\n"
        "what a request needs beside the tower. What else serving stacks do is not here yet."
    )


def preset_table() -> str:
    """Every preset as a Markdown table."""
    rows = ["| preset | what it is | what of theirs it cannot show |", "|---|---|---|"]
    rows += [f"| `{preset.name}` | {preset.summary} | {preset.lacks} |" for preset in PRESETS.values()]
    return "\n".join(rows)


def scenario_table() -> str:
    """Every shipped scenario as a Markdown table."""
    rows = ["| scenario | what is fed in | what it stands for |", "|---|---|---|"]
    scenarios = (load_scenario(name) for name in scenario_names())
    rows += [f"| `{scenario.name}` | {scenario.title} | {scenario.stands_for} |" for scenario in scenarios]
    return "\n".join(rows)


def format_table() -> str:
    """Every format that results can be had in, as a Markdown table."""
    rows = ["| option | of a comparison | of other tables |", "|---|---|---|"]
    rows += [f"| `{each.option}` | {each.comparison} | {each.tables} |" for each in exporters().values()]
    return "\n".join(rows)


def reader_table() -> str:
    """Every format of result files that `judge` and `diff` read, as a Markdown table."""
    rows = ["| `--format` | what it is |", "|---|---|"]
    rows += [f"| `{reader.name}` | {reader.reads} |" for reader in READERS.values()]
    return "\n".join(rows)


def peer_table() -> str:
    """Every tower of other projects, as a Markdown table."""
    rows = ["| peer | what it is | needs |", "|---|---|---|"]
    rows += [f"| `{peer.name}` | {peer.summary} | {peer.needs} |" for peer in PEERS.values()]
    return "\n".join(rows)


def rule_table() -> str:
    """By what the advice of `nsys report` goes, as a Markdown table."""
    rows = ["| inside a forward | flag | what would remove it |", "|---|---|---|"]
    for rule in rules():
        least = f"{rule.least} or more" if rule.most is None else f"{rule.least} to {rule.most}"
        rows.append(f"| {least} {rule.what} | {f'`{rule.flag}`' if rule.flag else ''} | {rule.why} |")
    return "\n".join(rows)


def floor_table() -> str:
    """Every room of the package, the top floor first, with the first line of its docstring."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = ["| floor | rooms | what they are for |", "|---|---|---|"]
    for number, floor in zip(range(len(floors), 0, -1), floors, strict=True):
        for room in floor.split(" | "):
            sources = [
                path
                for path in (ROOT / "vlbench" / room / "__init__.py", ROOT / "vlbench" / f"{room}.py")
                if path.is_file()
            ]
            for source in sources:  # none for a room that is yet to come
                told = (ast.get_docstring(ast.parse(source.read_text())) or "").partition("\n")[0].rstrip(".")
                rows.append(f"| {number} | `vlbench/{room}` | {told} |")
    return "\n".join(rows)


def exit_code_table() -> str:
    """Every exit code as a Markdown table, from the page of its module."""
    told = dict(re.findall(r"`(\w+)` \(\d\): (.*?)\.?$", exit_codes.__doc__ or "", flags=re.MULTILINE))
    rows = [f"| {int(code)} | `{code.name}` | {told[code.name]} |" for code in ExitCode]
    return "\n".join(["| code | name | what a script may conclude |", "|--:|---|---|", *rows])


def word_table() -> str:
    """What words mean here, as a Markdown table; under each of their names they are explained on the command line."""
    rows = [f"| {names} | {meaning} |" for names, meaning in meanings_by_names().items()]
    return "\n".join(["| word | what it means here |", "|---|---|", *rows])


def gate_runs() -> str:
    """What the stored gate runs over code that did not change ended with."""
    return gate_sentence(ROOT / "results/gate/false-alarms.json")


def classic_counts() -> str:
    """What the preset `classic` asks of a GPU, beside the reference tower and `best`."""
    towers = stored_counts().towers
    asked = {
        name: f"{each['device_operations']:,} operations and {each['host_syncs']:,} waits"
        for name, each in ((name, towers[name]["single-image"]) for name in ("classic", "baseline", "best"))
    }
    return (
        f"On one 512x512 picture, at 7B in bf16, counted as sm_90, `classic` asks for {asked['classic']}, the\n"
        f"reference tower for {asked['baseline']}, and `best` for {asked['best']}."
    )


def seam_ladder() -> str | None:
    """The stored measurement of a seam alone, as its command shows it, and where it comes from; None without one."""
    path = ROOT / "results/inverse-permutation-cpu.json"
    if not path.is_file():
        return None
    found = read_results(path)
    (first, *_), lines = found.groups, _printed(view(ladder_tables(found)))
    command = "$ vlbench run --seam inverse-permutation --trials 5 --budget 240"
    where = f"({found.fingerprint.cpu}, {first.threads} thread, torch {found.fingerprint.torch}.)"
    return "\n".join(["```", command, "...", *lines, "```", "", where])


def stored_atlases() -> list[Path]:
    """The stored atlases of transformers, the oldest release first."""
    stored = (ROOT / "results/atlas").glob("transformers-*.json")
    return sorted(stored, key=lambda path: [int(each) for each in re.findall(r"\d+", path.stem)])


def read_rows() -> str:
    """A few rows of the stored main job, as `vlbench show` prints them, and its A/A."""
    lines = _printed(view_of(results_sheet(read_results(ROOT / "results/multi-image-cpu.json"))))
    head = next(at for at, line in enumerate(lines) if line.startswith("variant "))
    rows = [line for line in lines[head:] if re.match(r"(baseline|best|exact|classic|patch-matmul) ", line)]
    ours = next(at for at, line in enumerate(lines) if line.startswith("A/A"))
    shown = [*lines[head - 1 : head + 1], *rows[:5], "...", *lines[ours : ours + 2]]
    return "\n".join(["```", "$ vlbench show results/multi-image-cpu.json", "...", *shown, "...", "```"])


def _printed(what: RenderableType) -> list[str]:
    out = StringIO()
    Console(file=out, width=80).print(what)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def newest_atlas() -> str | None:
    """The stored atlas of the newest release of transformers; None without one."""
    paths = stored_atlases()
    return page_table(read_atlas(paths[-1])) if paths else None


def changed_releases() -> str | None:
    """What each stored release of transformers changed; None of fewer than two."""
    atlases = [read_atlas(path) for path in stored_atlases()]
    return "\n\n".join(starmap(changes_table, pairwise(atlases))) if len(atlases) > 1 else None


PARTS: dict[str, Callable[[], str | None]] = {
    "again": again_table,
    "atlas": newest_atlas,
    "atlas_releases": changed_releases,
    "boards": board_table,
    "checked": checked_table,
    "checked_sentence": checked_sentence,
    "classic": classic_counts,
    "counted_and_seen": counted_and_seen,
    "engines": engine_table,
    "exit_codes": exit_code_table,
    "flag_number": flag_number,
    "floor": floor_of_boards,
    "flags": flag_table,
    "floors": floor_table,
    "full_width": full_width_table,
    "gate_runs": gate_runs,
    "held_trace": held_trace_table,
    "hold_out": hold_out_table,
    "limits": limit_table,
    "looked_up": looked_up_table,
    "formats": format_table,
    "measured": measured_sentence,
    "moved": moved_table,
    "peers": peer_table,
    "hosts": hosts_table,
    "host_terms": terms_table,
    "history_levels": levels_table,
    "captured_hosts": host_table,
    "captured_sentence": host_sentence,
    "published": published_table,
    "plans": plan_table,
    "probe": probe_table,
    "presets": preset_table,
    "read_rows": read_rows,
    "readers": reader_table,
    "reference": reference,
    "right": right_sentence,
    "rules": rule_table,
    "scenarios": scenario_table,
    "seam": seam_ladder,
    "seen": seen_sentence,
    "spreads": spread_table,
    "words": word_table,
}


def filled(text: str) -> str:
    """`text` with whatever stands between `<!-- generated: NAME -->` and `<!-- end -->` made anew.

    What nobody has stored stays as it is.
    """

    def fill(match: re.Match[str]) -> str:
        made = PARTS[match[2]]()
        return match[0] if made is None else f"{match[1]}\n{made}\n{match[3]}"

    return re.sub(r"(<!-- generated: (\w+) -->).*?(<!-- end -->)", fill, text, flags=re.DOTALL)


PAGES = tuple(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
    if "<!-- generated: " in path.read_text()
)
"""The pages of which a part is generated."""
SCHEMAS: dict[str, type[BaseModel]] = {"results": Results, "count": CountReport, "judged": Judged, "atlas": Atlas}
"""Files that programs read, by the name of their JSON Schema in docs/."""


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a file; a comparison is printed with what follows from it."""
    schema = model.model_json_schema()
    if model is Judged:
        schema["properties"] |= {
            "expected_false_rows": {
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "description": "How many rows are expected to be called by chance; null where that is not known.",
            },
            "exit_code": {"type": "integer", "description": "What the command ends with."},
        }
    return schema


def generated(root: Path) -> dict[Path, str]:
    """Every generated file below `root` with the content it should have."""
    pages = {root / page: filled((root / page).read_text()) for page in PAGES}
    pages[root / "docs/traps.md"] = trap_page(load_traps())
    pages[root / "docs/cheats.md"] = cheat_page()
    return pages | {
        root / "docs" / f"{name}.schema.json": json.dumps(schema_of(model), indent=1) + "\n"
        for name, model in SCHEMAS.items()
    }


if __name__ == "__main__":
    for path, content in generated(ROOT).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
