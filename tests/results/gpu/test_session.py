"""The session on a GPU: every step is bounded, one that fails costs nobody else anything, and what there is is kept."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from itertools import pairwise
from pathlib import Path

import pytest
import typer

import results.gpu.session
from results.gpu import environment
from results.gpu.session import DRY, GPU, PACKED, SECONDS, STEPS, TABLE, Mode, Session, Step
from vlbench.cli import app
from vlbench.implementations.config import MODELS
from vlbench.nsys.read import load
from vlbench.record.files import read_results
from vlbench.towers.resolve import flags_of, resolve_tower
from vlbench.workload.library import load_scenario

ROOT = Path(__file__).parents[3]
HANGS = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(60)
"""
KEEPS = """
import pathlib, signal, sys, time
def keep(*_):
    pathlib.Path("kept").write_text("by then")
    sys.exit(143)
signal.signal(signal.SIGTERM, keep)
pathlib.Path("begun").write_text("")
time.sleep(60)
"""
MODULES = {
    "fails": "import sys; print('so far'); sys.exit(6)",
    "hangs": HANGS,
    "keeps": KEEPS,
    "looks": "import sys, tarfile; print(sorted(tarfile.open(sys.argv[1]).getnames()))",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(results.gpu.session, "GRACE", 0.3)
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "work").mkdir()
    return tmp_path


def table(folder: Path) -> dict[str, list[str]]:
    """What the table says of each step."""
    head, *lines = (folder / TABLE).read_text().splitlines()
    assert head.split("\t")[1:] == ["exit code", "seconds", "limit", "what"]
    return {line.split("\t")[0]: line.split("\t")[1:] for line in lines}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_what_hangs_is_ended_with_all_it_started_and_the_rest_goes_on(folder: Path) -> None:
    steps = [
        Step("one", 1, "fails", result="one.json"),
        Step("two", 1, "hangs", dry_limit=1),
        Step("three", 1, f"looks {folder / PACKED}"),
        Step("four", 1, "fails", wants_gpu=True),
        Step("five", 99, "fails", dry_limit=99),
    ]
    session = Session(folder, folder / "work", Mode({}, {}, has_gpu=False), 30)
    session.run(steps)
    assert session.codes == [6, -signal.SIGKILL, 0, 1]
    found = table(folder)
    assert [*found] == [step.name for step in steps]
    assert [found["one"][0], found["one"][3]] == ["6", "ended"]
    assert [found["two"][0], found["two"][3]] == ["-9", "ended at its limit"]
    assert float(found["two"][1]) < 1.5
    assert found["four"] == ["", "", "", "skipped: needs a GPU"]
    assert re.fullmatch(r"not begun: 2\d s left, and it takes 99", found["five"][3])
    assert (folder / "work/one.json").read_text() == "so far\n"
    assert {"./one.json", "./two.err", "./steps.tsv"} <= set(eval((folder / "work/three.txt").read_text()))
    assert not is_alive(int((folder / "work/child").read_text()))
    with tarfile.open(folder / PACKED) as archive:
        packed = archive.extractfile("./steps.tsv")
        assert packed is not None
        assert packed.read().decode() == (folder / TABLE).read_text()


def test_a_step_that_is_ended_may_keep_what_it_has(folder: Path) -> None:
    session = Session(folder, folder / "work", Mode({}, {}), 30)
    session.run([Step("one", 1, "keeps", limit=1)])
    assert table(folder)["one"][0::3] == ["143", "ended at its limit"]
    with tarfile.open(folder / PACKED) as archive:
        assert "./kept" in archive.getnames()


@pytest.mark.parametrize("words", [["--seconds", "nan"], ["--seconds", "-5"], ["--only"], ["--out", "/dev/null"]])
def test_options_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        results.gpu.session.main(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_is_ended_packs_what_there_is(folder: Path, number: signal.Signals) -> None:
    code = (
        "import sys; from results.gpu import session;"
        "session.STEPS = (session.Step('one', 1, 'fails'), session.Step('two', 9, 'keeps'));"
        f"sys.exit(session.main(['--out', {str(folder / 'out')!r}]))"
    )
    path = f"{ROOT}:{folder}"
    started = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(folder)}, cwd=folder
    )
    until, told = time.monotonic() + 10, folder / "out" / TABLE
    while not (told.exists() and "one" in told.read_text() and [*folder.rglob("begun")]):
        assert time.monotonic() < until
        time.sleep(0.02)
    started.send_signal(number)
    assert started.wait(10) == 128 + number
    assert {name: row[3] for name, row in table(folder / "out").items()} == {"one": "ended", "two": "interrupted"}
    with tarfile.open(folder / "out" / PACKED) as archive:
        assert {"./one.txt", "./two.txt", "./kept"} <= {*archive.getnames()}


def test_all_steps_have_time_where_each_takes_what_is_expected() -> None:
    assert sum(step.seconds for step in STEPS) <= SECONDS < 600
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert all(not step.limit or step.limit >= step.seconds for step in STEPS)


def given(words: list[str], *options: str) -> list[str]:
    """What follows any of these options."""
    return [word for option, word in pairwise(words) if option in options]


def parted(tower: str) -> tuple[str, str, str]:
    return tower.partition("+")


@pytest.mark.parametrize("mode", [GPU, DRY], ids=["gpu", "dry"])
@pytest.mark.parametrize("step", [step for step in STEPS if step.command.startswith("vlbench")], ids=lambda s: s.name)
def test_every_command_is_one_that_there_is(step: Step, mode: Mode) -> None:
    name, *words = step.command.format(**mode.words).split()[1:]
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, list(words))  # which refuses an option that is not there
    for scenario in given(words, "--scenario"):
        load_scenario(scenario)
    for variant in given(words, "--with", "--variant"):
        if not variant.startswith("hf-"):
            flags_of(variant, MODELS[given(words, "--model")[0]], "cuda")
    towers = given(words, "--tower")
    ours = [flags_of(flags, MODELS[model], "cuda")[0].names for model, _, flags in map(parted, towers) if flags]
    assert len({*ours}) == len(ours), "two of them are one"
    for tower in towers:
        resolve_tower(tower)
    if name == "run":  # never every variant, nor the scenario that is taken where none is named
        assert given(words, "--scenario")
        assert given(words, "--with", "--tower")
        assert float(given(words, "--budget")[0]) < step.seconds
        assert float(given(words, "--timeout")[0]) > float(given(words, "--budget")[0])


def test_the_page_has_every_step_and_what_a_bare_machine_lacks() -> None:
    page = (ROOT / "results/gpu/README.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [step.name for step in STEPS]
    for step in STEPS:
        files = [*given(step.command.split(), "--out"), step.result]
        assert all(f"`{name}" in page for name in files if name)
    (fetched,) = (line for line in page.splitlines() if line.startswith("pip download"))
    assert {*fetched.split()[-3:]} <= {*environment.needed()}
    for module in re.findall(r"python3? -m (results\.[\w.]+)", page):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_readme_says_once_that_nothing_was_measured_on_a_gpu_while_that_is_so() -> None:
    stored = [*(ROOT / "results/gpu").glob("*.json"), *(ROOT / "results/calibration").glob("*.json")]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert readme.lower().count("not measured on a gpu yet") == (0 if stored else 1)


def test_the_environment_says_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "COMMANDS", {"one": ["true"], "two": ["false"], "three": ["no-such-program"]})
    monkeypatch.setattr(environment, "version", {"torch": "2.11.0"}.__getitem__)
    monkeypatch.setattr(environment, "PackageNotFoundError", KeyError)
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "x")
    assert environment.main() == 1
    told = capfd.readouterr().out
    assert '"torch": "2.11.0"' in told
    assert '"pydantic": null' in told
    assert '"PYTORCH_ALLOC_CONF": "x"' in told
    assert told.count("not measured: ") == 2


@pytest.mark.slow(50)
def test_a_dry_session(tmp_path: Path) -> None:
    """All of it on a CPU; the last step is ended at its limit, as one may be on a GPU."""
    command = [sys.executable, "-m", "results.gpu.session", "--dry", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    codes = {name: row[0] for name, row in table(tmp_path / "out").items()}
    timed = codes.pop("states")
    assert timed in ("0", "6")  # 6 on a busy machine, where not every row had time
    others = {"calibration": "", "self-test": "143"}
    assert codes == dict.fromkeys(codes, "0") | others, done.stdout + done.stderr
    with tarfile.open(tmp_path / "out" / PACKED) as archive:
        archive.extractall(tmp_path / "all", filter="data")
    group, *_ = read_results(tmp_path / "all/states.json").groups
    assert timed == "6" or set(group.states) == {"warm", "cold", "churn"}
    assert len(load(tmp_path / "all/trace/trace.json.gz").ranges) > 0
