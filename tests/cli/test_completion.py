from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from tests.cli.conftest import Vlbench
from tests.cli.test_main import reported
from tests.house import ROOT
from vlbench.api.names import SOURCES, names
from vlbench.api.profiles import TOOLS
from vlbench.cli import app, completion
from vlbench.counting.capture_job import FACTS
from vlbench.counting_device.profiles import PROFILES
from vlbench.implementations.config import MODELS
from vlbench.implementations.floor import NAME as FLOOR
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.implementations.optimized.seam import RENAMED
from vlbench.implementations.peers import PEERS
from vlbench.kernel_times import boards
from vlbench.matrix.ablation import Ablation
from vlbench.readers import READERS
from vlbench.record.exactness import FP32_LIMITS
from vlbench.record.schema import Device, Dtype, State
from vlbench.workload.library import case_names, scenario_names
from vlbench.workload.seams import CASES, PROMPTS

# The package's attribute of this name is the command.
explain = import_module("vlbench.cli.explain")
REGISTRIES: dict[str, Any] = {
    "flags": OPTIMIZATIONS,
    "former flags": RENAMED,
    "presets": PRESETS,
    "floor": (FLOOR,),
    "peers": PEERS,
    "models": MODELS,
    "scenarios": scenario_names(),
    "prompts": PROMPTS,
    "seams": CASES,
    "cases": case_names(),
    "formats": READERS,
    "states": get_args(State),
    "dtypes": get_args(Dtype),
    "devices": ("auto", *get_args(Device)),
    "ablations": Ablation,
    "classes": FP32_LIMITS.keys() - {"result-changing"},
    "facts": FACTS,
    "boards": boards(),
    "tools": TOOLS,
    "gpus": PROFILES,
}


@pytest.mark.parametrize("kind", [*SOURCES, "models"])
def test_the_names_in_the_source_are_those_of_the_registries(kind: str) -> None:
    """A test of its own may have registered others by now."""
    ours = names(kind)
    assert len(ours) == len(set(ours))
    assert set(ours) == {str(name) for name in REGISTRIES[kind] if not str(name).startswith("test-")}


OFFERED = [
    (("run", "--state", "c"), ["cold", "churn"]),
    (("case", "show", "vllm-a"), ["vllm-agent-patch"]),
    (("run", "--ablate", "p"), ["pairs"]),
    (("count", "--as", "sm_8"), ["sm_80", "sm_86", "sm_89"]),
    (("run", "--tower", "hf:qwen2-vl-7"), ["hf:qwen2-vl-72b", "hf:qwen2-vl-7b"]),
    (("run", "--with", "host-grid+rope-c"), ["host-grid+rope-cache"]),
    (("verify", "--variant", "hf-s"), ["hf-sdpa"]),
    (("run", "--scenario", "multi"), ["multi-image"]),
    (("run", "--model", "qwen2-vl-7"), ["qwen2-vl-7b", "qwen2-vl-72b"]),
    (("explain", "chur"), ["churn"]),
    (("diff", "my_r"), ["my_results.json"]),
    (("run", "--dtype", "b"), ["bfloat16"]),
    (("list", "fl"), ["flags"]),
    (("profile", "--tool", "py"), ["pyinstrument"]),
    (("judge", "--format", "hyper"), ["hyperfine"]),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_results.json").write_text("{}")
    (tmp_path / "my_tower.py").write_text("class Tower: ...\ndef make(): ...\nlimit = 3\nraise SystemExit")
    return tmp_path


@pytest.mark.parametrize(("words", "offered"), OFFERED, ids=lambda value: " ".join(value))
def test_values_are_completed(folder: Path, words: tuple[str, ...], offered: list[str]) -> None:
    *before, incomplete = words
    command, context = typer.main.get_command(app), None
    while before and before[0] in getattr(command, "commands", {}):
        command = command.commands[before.pop(0)]  # type: ignore[attr-defined]
    context = command.make_context("x", [], resilient_parsing=True)
    options = {name: each for each in command.params for name in each.opts}
    chosen = options[before[-1]] if before else command.params[0]
    found = [each.value for each in chosen.shell_complete(context, incomplete)]
    assert sorted(found) == sorted(offered)


def test_towers_of_the_current_folder_are_completed_without_their_code_being_run(folder: Path) -> None:
    assert completion.towers("my_t") == ["my_tower:"]
    assert completion.towers("my_tower:") == ["my_tower:Tower", "my_tower:make", "my_tower:limit"]
    assert completion.towers("my_tower:m") == ["my_tower:make"]
    assert completion.towers("other:m") == []
    assert completion.towers("qwen2.5-vl-7b+rope-c") == ["qwen2.5-vl-7b+rope-cache"]
    assert {"qwen2.5-vl-7b", "hf:qwen2.5-vl-7b"} <= set(completion.towers(""))


def test_the_last_of_several_flags_is_completed() -> None:
    assert set(completion.variants("")) >= {*PRESETS, *PEERS, "rope-cache"}
    assert completion.variants("best+hf-") == []
    assert completion.variants("zzz") == []


def test_the_shell_gets_an_answer_without_anything_heavy(folder: Path) -> None:
    """As bash asks: by the environment. In this process nothing heavy may be loaded but what draws."""
    asked = {"_VLBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "vlbench run --with rope-", "COMP_CWORD": "3"}
    program = f"import os, sys; os.environ.update({asked!r}); sys.argv = ['vlbench']\n"
    *offered, loaded = reported(program + "from vlbench.cli import main; main()")
    assert "rope-cache" in offered
    assert set(ast.literal_eval(loaded)) <= {"rich.console", "pydantic"}


@pytest.mark.parametrize(
    ("typed", "joined", "kept"),
    [
        ("run|--tower|my_tower|:|m", ["run", "--tower", "my_tower:m"], "my_tower:"),
        ("run|--tower|my_tower|:", ["run", "--tower", "my_tower:"], "my_tower:"),
        ("run|--tower|hf|:|qwen2", ["run", "--tower", "hf:qwen2"], "hf:"),
        ("run|--tower|=|my_tower|:|m", ["run", "--tower=my_tower:m"], "--tower=my_tower:"),
        ("run|--tower|my_tower:m", ["run", "--tower", "my_tower:m"], ""),  # COMP_WORDBREAKS without a colon
        ("run|--tower|a|:|b|--tower|c", ["run", "--tower", "a:b", "--tower", "c"], ""),
        ("run|--tower|a|:|b|", ["run", "--tower", "a:b", ""], ""),
    ],
)
def test_what_bash_split_at_colons_is_whole_again(typed: str, joined: list[str], kept: str) -> None:
    words = typed.split("|")
    assert completion.whole_words(words, len(words) - 1) == (joined, len(joined) - 1, kept)


@pytest.mark.slow
def test_bash_gets_what_follows_the_colon(folder: Path, tmp_path: Path) -> None:
    """As readline does it: words split at colons, and only the last of them is replaced."""
    program = tmp_path / "bin/vlbench"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {tmp_path}/bin/main.py\n")
    (tmp_path / "bin/main.py").write_text("import sys; sys.argv[0] = 'vlbench'\nfrom vlbench.cli import main; main()\n")
    program.chmod(0o755)
    script = 'eval "$(_VLBENCH_COMPLETE=source_bash vlbench)"\nask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
    script += '_vlbench_completion vlbench; echo "${COMPREPLY[*]}"; }\n'
    asked = ["run --tower my_tower : m", "run --tower my_tower :", "run --tower hf : qwen2-vl-7", "run --filter var"]
    script += "".join(f"ask vlbench {each}\n" for each in asked)
    where = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    told = subprocess.run(["bash", "--norc", "-c", script], env=where, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["make", "Tower make limit", "qwen2-vl-7b qwen2-vl-72b", "variant="]


@pytest.mark.parametrize(
    ("words", "told"),
    [("run --tower my_tower : m", "make"), ("run --tower = my_tower : T", "Tower"), ("run --filter = var", "variant=")],
)
def test_what_bash_is_told_follows_the_last_colon(
    vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    asked = ["vlbench", *words.split()]
    for name, value in {"_VLBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(asked)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(asked) - 1))
    assert vlbench().out == f"{told}\n"
