"""Every command of README.md and docs/*.md runs, a page at a time and in its order, as pages.toml says."""

from __future__ import annotations

import glob
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Ended, Vlbench
from tests.cli.gated import commit, make_repository
from tests.cli.pages import LISTED, PAGES, Command, blocks, commands, not_printed
from tests.gating.timings import measured
from tests.implementations.checkpoints import full_model
from tests.nsys.server import Server
from tests.nsys.test_take import Stage, database
from tests.readers.test_readers import VLLM
from tests.record.records import results
from tests.warm_start import WarmPopen
from vlbench.implementations.config import MODELS
from vlbench.record.files import write_results

TOWERS = "from my_tower import Tower as frozen, Tower as vision\n"


@pytest.fixture
def supplied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with what pages speak of: the tower of the README, pictures, results, captures, a checkpoint."""
    monkeypatch.setattr(subprocess, "Popen", WarmPopen)  # others hold that workers start as users start them
    monkeypatch.setattr(sys, "path", [*sys.path])
    for module in ("my_tower", "towers"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    make_repository(folder)
    (folder / "towers.py").write_text(TOWERS)
    for name in ("photo.jpg", "scan.png"):
        Image.new("RGB", (84, 56)).save(folder / name)
    for name, ratio in {"before": 0.8, "after": 0.8, "slow": 0.88}.items():
        write_results(results(measured(*[ratio] * 5)), folder / f"{name}.json")
    for side, rate in {"main": 17.0, "branch": 15.8}.items():
        (folder / side).mkdir()
        for number in range(3):
            served = VLLM | {"request_throughput": (told := rate + number / 100), "duration": 200 / told}
            (folder / side / f"{number}.json").write_text(json.dumps(served))
    server = Server()
    server.encoder(name="vision_encoder", syncs=True)
    server.database.save(folder / "capture.sqlite")
    Stage(folder, monkeypatch).set({}, database())
    return folder


def write_files(page: str) -> None:
    """Those that the README and the page show."""
    for block in [*blocks("README.md"), *blocks(page)]:
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
    commit()


def run(text: str, vlbench: Vlbench) -> Ended:
    """A command as a shell would run it; ours in this process."""
    quoted = {word for word in shlex.split(text) if f"'{word}'" in text}
    found = [[word] if word in quoted else sorted(glob.glob(word)) or [word] for word in shlex.split(text)]
    program, *words = [word for each in found for word in each]
    if program == "vlbench":
        return vlbench(*words)
    started = {"pytest": [sys.executable, "-m", "pytest", "-p", "vlbench.pytest_plugin"]}.get(program, [program])
    done = subprocess.run([*started, *words], capture_output=True, text=True)
    return Ended(done.returncode, done.stdout, done.stderr)


def expected(command: Command) -> list[int]:
    """The exit codes that it may end with."""
    said = re.search(r"exit code (\d+)", "\n".join(command.shown))
    return LISTED[command.text].get("ends", [int(said[1]) if said else 0])


def once() -> dict[str, list[Command]]:
    """The commands that run, by each page that shows what it prints, or else by the last that has it."""
    printed = [each for page in PAGES for each in commands(page)]
    best = {each.text: each for each in sorted(printed, key=lambda each: bool(each.shown))}
    chosen = [each for each in printed if each.shown or best[each.text] is each]
    chosen = [each for each in chosen if not {"by", "not_run"} & LISTED[each.text].keys()]
    return {page: [each for each in chosen if each.page == page] for page in PAGES}


RUN = once()


@pytest.mark.slow(30)
@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]])
def test_the_commands_of_a_page(page: str, vlbench: Vlbench, supplied: Path) -> None:
    write_files(page)
    if any("checkpoint" in LISTED[each.text].get("run", "") for each in RUN[page]):
        full_model(MODELS["qwen2.5-vl-tiny"]).save_pretrained(supplied / "checkpoint")
    for command in RUN[page]:
        how = LISTED[command.text]
        ended = run(how.get("run", command.text), vlbench)
        assert ended.code in expected(command), (command, ended)
        if "run" not in how and "times" not in how:
            assert not_printed(command.shown, ended.out + ended.err) == [], (command, ended)
