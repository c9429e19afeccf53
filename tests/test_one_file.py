"""To add something is to write one file: the command line, the documentation and the lists of the tests find it.

The files that docs/adding.md shows are examples to begin with. They are written into a copy of the repository.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.pages import blocks
from tests.nsys.server import MAIN, Server

ROOT = Path(__file__).parents[1]
COPIED = (
    "vlbench",
    "implementations",
    "scenarios",
    "results",
    "docs",
    "tests",
    "README.md",
    "CONTRIBUTING.md",
    "pyproject.toml",
)

FILES = {block.file: block.text for block in blocks("docs/adding.md") if block.file}
(MODEL,) = (block.text for block in blocks("docs/adding.md") if block.language == "text")

COMMANDS = {
    "list flags": "list flags",
    "list scenarios": "list scenarios",
    "list peers": "list peers",
    "list formats": "list formats",
    "list models": "list models",
    "list cases": "case list",
    "show case": "case show scenarios/cases/new-case.toml",
    "help": "list --help",
    "export": "list models --new-exporter rows.txt",
    "judge": "judge --before before.txt --after after.txt --format new-reader",
    "advice": "nsys report capture.sqlite",
    "explain": "explain new-flag",
}
RUN = "run --scenario new-scenario --with new-flag --with new-peer --device cpu --budget 2 --no-card"
LISTS = (
    "tests/implementations/optimized/test_flags.py",
    "tests/workload/test_library.py",
    "tests/export/test_registry.py",
    "tests/readers/test_readers.py",
    "tests/nsys/test_advice.py",
    "tests/implementations/peers/test_peers.py",
)
PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest

import docs.generate
from vlbench.cli import main

commands, lists = json.loads(sys.argv[1])
said = {"documentation": "".join(docs.generate.filled(Path(page).read_text()) for page in docs.generate.PAGES)}
for name, command in commands.items():
    sys.argv = ["vlbench", *command.split()]
    with io.StringIO() as out:
        with redirect_stdout(out), redirect_stderr(out), suppress(SystemExit):
            main()
        said[name] = out.getvalue()
with io.StringIO() as out:
    with redirect_stdout(out):
        pytest.main(["--collect-only", "-q", *lists])
    said["tests"] = out.getvalue()
print(json.dumps(said))
"""
"""All of it in one process, as most of the time of each would go into its start."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository that has these files, and no other line that is new."""
    copy = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, copy / name)
    for name, text in FILES.items():
        (copy / name).write_text(text)
    sizes = copy / "implementations/config.py"
    sizes.write_text(sizes.read_text().replace("_SIZES = (\n", f"_SIZES = (\n{MODEL}"))
    return copy


def output(copy: Path, *words: str, more: str = "") -> str:
    """What Python writes to stdout, started in the copy with these words."""
    env = os.environ | {"PYTHONPATH": f"{copy}{more}", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run([sys.executable, *words], cwd=copy, env=env, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def said(copy: Path) -> dict[str, str]:
    """What the documentation, the commands and the tests of the copy say."""
    (copy / "before.txt").write_text("took 1.0")
    (copy / "after.txt").write_text("took 1.1")
    server = Server()
    for _ in range(2):
        begin = server.now - 1
        server.kernels([*["new_rule_kernel"] * 3, "flash_fwd_kernel"])
        server.database.range(begin, server.now, "vision_encoder", MAIN)
    server.database.save(copy / "capture.sqlite")
    found: dict[str, str] = json.loads(output(copy, "-c", PROGRAM, json.dumps([COMMANDS, LISTS])).splitlines()[-1])
    return found | {"exported": (copy / "rows.txt").read_text()}


def test_a_flag(said: dict[str, str]) -> None:
    assert "\nnew-flag " in said["list flags"]
    assert (
        "\n| `new-flag` | patch embedding | nothing | not counted yet | bit-exact |  | this test |\n"
        in said["documentation"]
    )
    assert "test_flags.py::test_a_flag_alone[qwen2-vl-narrow-new-flag]" in said["tests"]
    assert "return embedding.naive_way(proj, pixels)" in said["explain"]


def test_a_model(said: dict[str, str]) -> None:
    assert "\nqwen2.5-vl-11b " in said["list models"]


def test_a_case(said: dict[str, str]) -> None:
    assert "\nnew-case " in said["list cases"]
    assert "it asks for fewer operations" in said["show case"]


def test_a_scenario(said: dict[str, str]) -> None:
    assert "\nnew-scenario " in said["list scenarios"]
    assert "\n| `new-scenario` | Two tiny images | nothing but a quick test |\n" in said["documentation"]
    assert "why_it_is_smaller_on_a_cpu[new-scenario]" in said["tests"]


def test_an_exporter(said: dict[str, str]) -> None:
    assert "--new-exporter" in said["help"]
    assert int(said["exported"]) > 1
    assert "\n| `--new-exporter FILE` | their number | the same |\n" in said["documentation"]
    assert "test_registry.py::test_every_format_holds_every_sheet" in said["tests"]
    assert "-new-exporter]" in said["tests"]


def test_a_reader(said: dict[str, str]) -> None:
    assert "\nnew-reader " in said["list formats"]
    assert "\ntook " in said["judge"]
    assert "\n| `new-reader` | what this test writes |\n" in said["documentation"]
    assert "test_readers.py::test_a_format_named_wrongly_gets_one_sentence[new-reader]" in said["tests"]


def test_a_rule_of_nsys(said: dict[str, str]) -> None:
    assert "3 new-rule kernels inside 2 of 2 forwards: nothing removes them" in said["advice"]
    assert "\n| 3 or more new-rule kernels |  | nothing removes them |\n" in said["documentation"]
    assert "test_advice.py::test_every_rule_is_well_formed[new-rule kernels-3]" in said["tests"]


def test_a_peer(said: dict[str, str]) -> None:
    assert "\nnew-peer " in said["list peers"]
    assert "\n| `new-peer` | a tower of this test | torch |\n" in said["documentation"]
    assert "test_peers.py::test_the_weights_are_the_reference_towers_own_tensors[new-peer-" in said["tests"]


@pytest.mark.slow
def test_all_that_can_be_measured_is_measured(copy: Path) -> None:
    patient = copy / "tests/trial/misbehaving"  # with more time than the budget, however busy the machine is
    rows = output(copy, "-m", "vlbench", *RUN.split(), more=f"{os.pathsep}{patient}")
    assert "\nnew-scenario: qwen2.5-vl-tiny, " in rows
    assert re.search(r"^new-flag +bit-exact +0 ", rows, re.MULTILINE)
    assert re.search(r"^new-peer +reassoc\. +0 ", rows, re.MULTILINE)
