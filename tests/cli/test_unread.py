"""No option is ignored in silence: beside what it says nothing, it is refused by a sentence that names both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.test_help import ALL

RUN = "device dtype state only seed threads trials budget timeout isolate resume out force against card"
WHOLE = f"{RUN} counts"
TOWERS = "--tower hf:qwen2.5-vl-tiny"
MODES: dict[str, dict[str, str]] = {
    "run": {
        "--scenario video": f"{WHOLE} scenario model seam variant tower ablate images weights plan",
        TOWERS: f"{WHOLE} scenario tower exactness images weights plan",
        "--seam rope": f"{RUN} seam",
        "--scenario prompt-image": f"{RUN} scenario seam",
        "--images a.jpg": f"{WHOLE} model variant tower ablate images scenario_sizes weights plan",
        "--plan-file p.jsonl": "plan_file shard timeout resume out force card",
    },
    "plan": {
        "": "matrix scenario model variant tower exactness ablate weights device dtype state only seed threads trials "
        "budget out shards github buildkite slurm json force",
        "m.toml": "matrix out shards github buildkite slurm json force",
    },
    "recommend": {
        "": "scenario point grid start model weights device dtype counters gpu cudnn seed threads trials budget "
        "timeout out force",
        "--grid 1x4x6": "grid start model weights device dtype counters gpu cudnn seed threads trials budget timeout "
        "out force",
        "--no-counters": "scenario point grid start model weights device dtype counters seed threads trials budget "
        "timeout out force",
    },
    "verify": {
        "--with best": "variant weights model device dtype seed threads timeout quiet where dump",
        TOWERS: "tower exactness weights device dtype seed threads timeout quiet where dump",
        "--with best --where": "variant weights model device dtype seed threads where dump",
        f"{TOWERS} --where": "tower weights device dtype seed threads where against dump",
        "--with best --dump new": "variant weights model device dtype seed threads where dump",
    },
    "profile": {
        "--tool stages": "tool scenario point variant tower forwards blocks overhead model weights device dtype seed "
        "threads force",
        "--tool torch": "tool scenario point variant tower forwards overhead limit out model weights device dtype seed "
        "threads force",
        "--tool pyinstrument": "tool scenario point variant tower forwards overhead out model weights device dtype "
        "seed threads force",
        "--overhead": "scenario point variant tower forwards overhead model weights device dtype seed threads force",
    },
    "count": {
        "--diff baseline best": "tower scenario grid dtype where diff cold plan gpu cudnn",
        "--tower tests.towers.toys:Toy": "tower scenario grid dtype where diff cold plan capture over gpu cudnn",
        "--grid 1x4x6": "tower variant grid dtype where diff cold plan capture over gpu cudnn",
        "--over HEAD~1..HEAD": "tower scenario grid dtype over gpu cudnn",
        "--capture --tower tests.towers.toys:Toy": "tower scenario grid dtype capture key region gpu cudnn",
    },
    "atlas": {
        "": "package only listed discover check against over grid dtype gpu cudnn out force",
        "--discover": "package only listed discover grid dtype gpu cudnn out force",
        "--check": "package only listed check grid dtype gpu cudnn out force",
        "--over 5.22..5.23": "package only listed over grid dtype gpu cudnn out force",
    },
    "predict": {
        "--tower tests.towers.toys:Toy": "tower scenario grid dtype gpu cudnn cold perfetto check limit force",
        "--grid 1x4x6": "tower variant grid dtype gpu cudnn cold perfetto limit force",
        "--check new.json": "tower variant scenario dtype cudnn perfetto check budget limit force",
        "--capture c.json": "capture gpu limit",
    },
    "calibrate": {
        "--tower tests.towers.toys:Toy": "tower scenario grid dtype out force",
        "--grid 1x4x6": "tower variant grid dtype out force",
        "--board new.json": "board device dtype budget force",
    },
    "ab": {
        "a b --no-counters": "base head tower scenario device dtype counters seed threads trials budget timeout "
        "allow_inconclusive out force exactness",
        "a b --tower qwen2.5-vl-tiny+best": "base head tower scenario device dtype counters gpu cudnn seed threads "
        "trials budget timeout allow_inconclusive out force",
        "--python p": "base head python tower head_tower scenario exactness device dtype counters gpu cudnn seed "
        "threads trials budget timeout allow_inconclusive out force",
    },
    "judge-patch": {
        "a b": "base patch tower scenario grid gpu cudnn dtype seed times timeout",
        "a b --times": "base patch tower scenario gpu cudnn dtype seed times trials budget timeout",
    },
    "gate": {
        "": "baseline base report_only capture times allow_inconclusive out force",
        "--base HEAD": "baseline base first no_accept report_only capture times allow_inconclusive out force",
    },
    "gate init": {"tests.towers.toys:Toy --grid 1x4x6": "tower grid gpu cudnn dtype reason unchecked by"},
    "baseline save": {
        "f.json --reason r --tower tests.towers.toys:Toy": "file reason by tower variant scenario grid capture results "
        "gpu cudnn dtype unchecked force",
        "f.json --reason r --results r.json": "file reason by tower scenario capture results force",
    },
    "simulate": {
        "": "scenario model requests turns conversations cache budgets most_padding graphs ranks memory_at break_even "
        "seed",
        "--memory-at 64": "scenario model requests turns conversations cache budgets most_padding graphs ranks "
        "memory_at kv_bytes break_even seed",
    },
    "report": {
        "a.json --markdown": "results history out markdown force",
        "a.json --json": "results history out json force",
    },
    "self-test": {
        "": "quick seed threads device timeout resume out force earlier rules",
        "--from a.json": "earlier rules force",
    },
    "mcp": {"--json": "as_json"},
    "nsys capture": {
        "--print run": "arguments output force trace graph show",
        "run": "arguments output force trace graph show range_ limit",
    },
}
"""By command and by what it is asked for: the options that it reads."""
ALL_READ = (
    *(
        "record",
        "history",
        "merge",
        "fleet",
        "show",
        "judge",
        "diff",
        "explain",
        "list",
        "baseline show",
        "baseline list",
        "baseline accept",
    ),
    *("case list", "case show", "case run"),
    *("baseline remove", "baseline complete", "baseline rebase", "baseline migrate"),
    *("nsys report", "nsys diff", "nsys trace", "nsys doctor"),
)
"""Commands whose options stand beside each other in every combination."""
SAMPLES: dict[str, str] = {
    "scenario": "video",
    "model": "qwen2-vl-7b",
    "variant": "best",
    "tower": "hf:qwen2-vl-7b",
    "ablate": "pairs",
    "images": "a.jpg",
    "weights": ".",
    "exactness": "ulp",
    "seam": "merge",
    "plan_file": "p.jsonl",
    "shard": "1/2",
    "state": "cold",
    "only": "model=x",
    "tool": "torch",
    "limit": "3",
    "out": "out",
    "gpu": "sm_80",
    "cudnn": "9.15",
    "dtype": "float16",
    "unchecked": "why",
    "against": "hf:qwen2.5-vl-tiny",
    "dump": "new",
    "ranges": "x",
    "range_": "x",
    "grid": "1x4x4",
    "point": "n=2",
    "key": "tokens",
    "region": "merger",
    "seed": "3",
    "threads": "2",
    "device": "cpu",
    "timeout": "9",
    "trials": "9",
    "budget": "9",
    "kv_bytes": "9",
    "check": "new.json",
    "board": "new.json",
    "capture": "c.json",
    "perfetto": "t.json",
    "diff": "baseline best",
    "over": "HEAD~1..HEAD",
    "python": "python3",
    "head_tower": "a:b",
}


def options_of(command: str) -> dict[str, Any]:
    params = ALL[command].params
    return {each.name: each for each in params if not each.name.startswith("export_") and each.name != "help"}


def test_every_command_is_in_the_table_with_all_its_options() -> None:
    groups = {name for name, each in ALL.items() if getattr(each, "commands", {}) and name != "gate"}
    assert {*MODES, *ALL_READ, *groups} == ALL.keys()
    for command, modes in MODES.items():
        read = {name for options in modes.values() for name in options.split()}
        assert read <= options_of(command).keys(), command
        left = options_of(command).keys() - read
        assert left <= {"stray", "scenario_sizes", "ranges", "scenario"} or command == "mcp", (command, left)


AS_UNREAD = (
    r"leave .*\bout\b|give one of them|give --capture too|give it no|belong to --base|say how a tower is counted"
)
"""What a sentence says that refuses an option for what stands beside it, and not for its value."""
UNREAD = [
    (command, mode, name)
    for command, modes in MODES.items()
    for mode, read in modes.items()
    for name in sorted(options_of(command).keys() - {"stray", *read.split()})
]


@pytest.mark.parametrize(("command", "mode", "name"), UNREAD, ids=lambda value: str(value).replace(" ", "_"))
def test_an_option_that_nothing_reads_is_refused_by_name(
    vlbench: Vlbench, folder: Path, command: str, mode: str, name: str
) -> None:
    for path in ("a.jpg", "r.json", SAMPLES["against"]):  # what is not there is told before
        (folder / path).touch()
    option = options_of(command)[name]
    value = [] if option.is_flag else SAMPLES[name].split()
    ended = vlbench(
        *command.split(), *mode.split(" run")[0].split(), option.opts[0], *value, *["run"] * mode.count("run")
    )
    refused = "|".join(re.escape(each) for each in option.opts)
    assert re.search(rf"(?<![\w-])({refused})(?![\w-])", ended.sentence), ended
    assert re.search(AS_UNREAD, ended.sentence), ended
